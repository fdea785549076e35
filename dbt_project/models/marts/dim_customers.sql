with

customers as (

    select * from {{ source('core', 'customers') }}

),

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

bought as (

    select
        customer_id,
        array_agg(distinct business_key) as businesses,
        min(ordered_on) as first_order_on,
        max(ordered_on) as last_order_on,
        count(*) as orders,
        sum(revenue) as revenue,
        coalesce(sum(revenue) filter (where ordered_on > {{ today() }} - interval '1 year'), 0) as revenue_12_months
    from orders
    where customer_id is not null
    group by 1

),

final as (

    select
        ---- ids
        customers.customer_id,
        customers.email,
        customers.abn,

        ---- text
        customers.first_name,
        customers.last_name,
        customers.company_name,
        customers.phone,
        customers.city,
        customers.state,
        customers.postcode,
        customers.country,
        customers.contact_type,

        ---- booleans
        customers.wholesale_account as is_wholesale,

        ---- what they bought
        coalesce(bought.businesses, '{}') as businesses,
        coalesce(bought.orders, 0) as orders,
        coalesce(bought.revenue, 0)::numeric(14, 2) as revenue,
        coalesce(bought.revenue_12_months, 0)::numeric(14, 2) as revenue_12_months,

        ---- days
        bought.first_order_on,
        bought.last_order_on,
        {{ business_day('customers.known_since') }} as known_since
    from customers
    left join bought on customers.customer_id = bought.customer_id

)

select * from final
