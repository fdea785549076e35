with

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        revenue_with_cost as numerator,
        revenue as denominator
    from sales

)

{{ kpi_events('cost_coverage') }}
