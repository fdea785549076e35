{#-
    The group's rows stand under 'group': who is known to one business is not new to the group. What a business sells
    to another one is no purchase of the group's.
-#}

with

orders as (

    select
        business_key,
        is_intercompany,
        customer_id,
        ordered_on
    from {{ ref('fct_orders') }}
    where is_sale and customer_id is not null

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
        business_key,
        customer_id,
        ordered_on,
        orders::bigint as orders,
        previous_on,
        ---- the first day has an earlier order only if it has two
        case when nth > 2 or previous_orders > 1 then previous_on end as previous_repeat_on,
        previous_on is not null or orders > 1 as has_earlier_order
    from compared

)

select * from final
