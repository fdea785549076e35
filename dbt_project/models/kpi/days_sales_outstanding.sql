with

receivables as (

    select * from {{ ref('fct_receivables_daily') }}

),

sales as (

    select * from {{ ref('fct_sales_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        receivable as numerator,
        null::numeric as denominator
    from receivables

    union all

    select
        business_key,
        is_intercompany,
        date,
        null,
        wholesale_revenue
    from sales

)

{{ kpi_events('days_sales_outstanding') }}
