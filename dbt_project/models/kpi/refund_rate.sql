with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

refunds as (

    select * from {{ ref('fct_refunds') }}
    where is_counted

),

events as (

    select
        business_key,
        ordered_on as date,
        0 as numerator,
        revenue as denominator
    from orders

    union all

    select
        business_key,
        refunded_on,
        amount,
        0
    from refunds

),

{{ kpi_values('refund_rate') }}
