with

buying_days as (

    select * from {{ ref('fct_buying_days') }}

),

events as (

    select
        business_key,
        ordered_on as date,
        1 as numerator,
        null::integer as denominator,
        customer_id as distinct_key
    from buying_days

),

{{ kpi_values('customers') }}
