with

buyers as (

    select * from {{ ref('fct_buyers_daily') }}

),

events as (

    select
        business_key,
        grain,
        date,
        new_customers as numerator,
        null::numeric as denominator
    from buyers

)

{{ kpi_events('new_customers') }}
