{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook=["{{ forget_changed_buyers() }}", "{{ find_buyers_to_make() }}"],
    )
}}

{#-
    Only the days of buyers whose purchases changed are made again.

    The group's rows stand under 'group': who is known to one business is not new to the group. What a business sells
    to another one is no purchase of the group's.
-#}

with

buyers as (

    select customer_id, made_at from {{ buyers_to_make() }}

),

orders as (

    select
        business_key,
        is_intercompany,
        customer_id,
        ordered_on
    from {{ ref('fct_orders') }}
    where is_sale and customer_id in (select customer_id from buyers)

),

days as (

    select
        business_key,
        customer_id,
        ordered_on,
        count(*) as orders,
        count(*) filter (where not is_intercompany) as orders_of_group
    from orders
    group by 1, 2, 3

),

levels as (

    select
        business_key,
        customer_id,
        ordered_on,
        orders
    from days

    union all

    select
        'group',
        customer_id,
        ordered_on,
        sum(orders_of_group)
    from days
    where orders_of_group > 0
    group by 2, 3

),

compared as (

    select
        *,
        lag(ordered_on) over so_far as previous_on,
        lag(orders) over so_far as previous_orders,
        row_number() over so_far as nth
    from levels
    window so_far as (partition by business_key, customer_id order by ordered_on)

),

final as (

    select
        compared.business_key,
        customer_id,
        compared.ordered_on,
        compared.orders::bigint as orders,
        compared.previous_on,
        ---- the first day has an earlier order only if it has two
        case when compared.nth > 2 or compared.previous_orders > 1 then compared.previous_on end as previous_repeat_on,
        compared.previous_on is not null or compared.orders > 1 as has_earlier_order,
        buyers.made_at
    from compared
    inner join buyers using (customer_id)

)

select * from final
