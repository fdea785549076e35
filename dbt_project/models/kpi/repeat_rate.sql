with

buyers as (

    select * from {{ ref('fct_buyers_daily') }}

),

events as (

    select
        business_key,
        grain,
        date,
        repeat_customers as numerator,
        customers as denominator
    from buyers

)

{{ kpi_events('repeat_rate') }}
