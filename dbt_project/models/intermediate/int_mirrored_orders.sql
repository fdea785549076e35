{#- Deciding is in the variable `shopify_order_name`: without a pattern a business mirrors nothing. -#}

with

orders as (

    select * from {{ ref('stg_unleashed__sales_orders') }}

),

mirrored as (

    select
        account,
        business_key,
        unleashed_id,
        order_number
    from orders
    where
        false
        {%- for business_key, pattern in var('shopify_order_name').items() %}
        or (
            business_key = '{{ business_key }}'
            and (customer_ref ~ '{{ pattern }}' or comments ~ '{{ pattern }}')
        )
        {%- endfor %}

)

select * from mirrored
