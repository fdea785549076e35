{{ config(unique_key='customer_id') }}

with

customers as (

    select * from {{ source('core', 'customers') }}

),

bought as (

    select * from {{ ref('fct_buyers') }}

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
