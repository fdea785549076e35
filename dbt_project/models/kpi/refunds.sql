with

refunds as (

    select * from {{ ref('fct_refunds') }}
    where is_counted

),

events as (

    select
        business_key,
        refunded_on as date,
        amount as numerator,
        null::numeric as denominator
    from refunds

),

{{ kpi_values('refunds') }}
