with

open_orders as (

    select * from {{ ref('fct_open_orders_daily') }}

),

events as (

    select
        business_key,
        ---- null on days before the two were told apart
        coalesce(is_intercompany, false) as is_intercompany,
        date,
        backordered_orders as numerator,
        placed_orders + backordered_orders as denominator
    from open_orders

)

{{ kpi_events('back_order_rate') }}
