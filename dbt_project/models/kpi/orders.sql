with

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        orders as numerator,
        null::numeric as denominator
    from sales

)

{{ kpi_events('orders') }}
