{#- Refunds stand on their own day, completions on that of the completion: three kinds of days in one row. -#}

with

orders as not materialized (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

refunds as (

    select * from {{ ref('fct_refunds') }}
    where is_counted

),

placed as (

    select
        business_key,
        is_intercompany,
        ordered_on as date,
        count(*) as orders,
        sum(units) as units,
        sum(revenue) as revenue,
        sum(revenue_with_cost) as revenue_with_cost,
        sum(cost) as cost,
        count(*) filter (where is_wholesale) as wholesale_orders,
        coalesce(sum(revenue) filter (where is_wholesale), 0) as wholesale_revenue
    from orders
    group by 1, 2, 3

),

completed as (

    select
        business_key,
        is_intercompany,
        completed_on as date,
        count(*) as completed_orders,
        sum(fulfilment_days) as fulfilment_days
    from orders
    where completed_on is not null
    group by 1, 2, 3

),

refunded as (

    select
        business_key,
        is_intercompany,
        refunded_on as date,
        count(*) as refunds,
        sum(amount) as refunded
    from refunds
    group by 1, 2, 3

),

final as (

    select
        ---- what happened where and when
        business_key,
        is_intercompany,
        date,

        ---- orders by the day on which they were placed
        coalesce(placed.orders, 0) as orders,
        coalesce(placed.units, 0) as units,
        coalesce(placed.revenue, 0) as revenue,
        coalesce(placed.revenue_with_cost, 0) as revenue_with_cost,
        coalesce(placed.cost, 0) as cost,
        coalesce(placed.wholesale_orders, 0) as wholesale_orders,
        coalesce(placed.wholesale_revenue, 0) as wholesale_revenue,

        ---- and by that on which they were completed
        coalesce(completed.completed_orders, 0) as completed_orders,
        coalesce(completed.fulfilment_days, 0) as fulfilment_days,

        ---- refunds by the day on which they were made
        coalesce(refunded.refunds, 0) as refunds,
        coalesce(refunded.refunded, 0) as refunded
    from placed
    full join completed using (business_key, is_intercompany, date)
    full join refunded using (business_key, is_intercompany, date)

)

select * from final
