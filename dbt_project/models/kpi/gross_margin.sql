with

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        revenue_with_cost - cost as numerator,
        revenue_with_cost as denominator
    from sales

)

{{ kpi_events('gross_margin') }}
