with

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        units as numerator,
        orders as denominator
    from sales

)

{{ kpi_events('units_per_order') }}
