{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook=["{{ forget_remade_orders() }}", "{{ find_orders_to_make() }}"],
        post_hook=[
            "{{ follow_identity('customer_id', 'customer', 'customer_external_id') }}",
            "{{ follow_identity('company_id', 'company', 'customer_external_id') }}",
        ],
        indexes=[{'columns': ['order_id'], 'unique': true}],
    )
}}

with

orders as (

    select * from {{ orders_to_make() }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}

),

customers as (

    {{ identities('customer') }}

),

companies as (

    {{ identities('company') }}

),

sums as (

    select
        order_id,
        count(*) as lines,
        sum(quantity) as units,
        sum(revenue) as revenue,
        sum(tax) as lines_tax,
        sum(revenue) filter (where cost is not null) as revenue_with_cost,
        sum(cost) as cost
    from lines
    where order_id in (select order_id from orders)
    group by 1

),

final as (

    select
        ---- ids
        orders.order_id,
        orders.business_key,
        orders.system,
        orders.account,
        orders.external_id,
        orders.order_number,
        orders.customer_external_id,
        customers.id as customer_id,
        companies.id as company_id,

        ---- state
        orders.status,
        orders.is_mirrored,
        orders.is_wholesale,
        orders.is_intercompany,
        orders.is_sale,

        ---- timestamps
        orders.ordered_at,
        orders.ordered_on,
        orders.completed_at,
        orders.completed_on,
        {{ wall_clock_days('orders.ordered_at', 'orders.completed_at') }} as fulfilment_days,

        ---- numerics
        coalesce(sums.lines, 0) as lines,
        coalesce(sums.units, 0) as units,
        coalesce(sums.revenue, 0)::numeric(14, 2) as revenue,
        coalesce(sums.lines_tax, 0)::numeric(14, 2) as lines_tax,
        coalesce(sums.revenue_with_cost, 0)::numeric(14, 2) as revenue_with_cost,
        coalesce(sums.cost, 0)::numeric(14, 2) as cost,
        orders.discount_total,
        (
            orders.shipping_total
            ---- what of the GST is not that of the lines
            - case when orders.prices_include_tax then orders.tax_total - coalesce(sums.lines_tax, 0) else 0 end
        )::numeric(14, 2) as shipping_total,
        orders.tax_total,
        orders.total,
        orders.currency,

        ---- loading
        orders.load_id,
        orders.made_at
    from orders
    left join sums on orders.order_id = sums.order_id
    left join customers
        on orders.account = customers.account
        and orders.customer_external_id = customers.external_id
    left join companies
        on orders.account = companies.account
        and orders.customer_external_id = companies.external_id

)

select * from final
