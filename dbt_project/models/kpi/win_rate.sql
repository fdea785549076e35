with

deals as (

    select * from {{ ref('fct_deals') }}
    where is_closed and business_key is not null

),

events as (

    select
        business_key,
        closed_on as date,
        is_won::integer as numerator,
        1 as denominator
    from deals
    where closed_on is not null

)

{{ kpi_events('win_rate') }}
