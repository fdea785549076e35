with

receivables as (

    select * from {{ ref('fct_receivables_daily') }}

),

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale and system = 'unleashed'

),

events as (

    select
        business_key,
        date,
        receivable as numerator,
        null::numeric as denominator
    from receivables

    union all

    select
        business_key,
        ordered_on,
        null,
        revenue
    from orders

),

{{ kpi_values('days_sales_outstanding') }}
