with

buying_days as (

    select * from {{ ref('fct_buying_days') }}

),

events as (

    select
        business_key,
        ordered_on as date,
        has_earlier_order::integer as numerator,
        1 as denominator,
        customer_id as distinct_key
    from buying_days

),

{{ kpi_values('repeat_rate') }}
