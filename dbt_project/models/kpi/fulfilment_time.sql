with

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        fulfilment_days as numerator,
        completed_orders as denominator
    from sales

)

{{ kpi_events('fulfilment_time') }}
