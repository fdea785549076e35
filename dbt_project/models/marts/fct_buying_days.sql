{#- The group's rows stand under 'group': who is known to one business is not new to the group. -#}

with

orders as (

    select
        business_key,
        customer_id,
        ordered_on,
        ordered_at,
        order_id
    from {{ ref('fct_orders') }}
    where is_sale and customer_id is not null

),

numbered as (

    select
        business_key,
        customer_id,
        ordered_on,
        row_number() over (partition by business_key, customer_id order by ordered_at, order_id) as nth
    from orders

    union all

    select
        'group',
        customer_id,
        ordered_on,
        row_number() over (partition by customer_id order by ordered_at, order_id)
    from orders

),

final as (

    select
        business_key,
        customer_id,
        ordered_on,
        count(*) as orders,
        min(nth) = 1 as has_first_order,
        max(nth) > 1 as has_earlier_order
    from numbered
    group by 1, 2, 3

)

select * from final
