{{ config(unique_key='company_id') }}

with

companies as (

    select * from {{ source('core', 'companies') }}

),

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale

),

bought as (

    select
        company_id,
        array_agg(distinct business_key) as businesses,
        min(ordered_on) as first_order_on,
        max(ordered_on) as last_order_on,
        count(*) as orders,
        sum(revenue) as revenue
    from orders
    where company_id is not null
    group by 1

),

final as (

    select
        ---- ids
        companies.company_id,
        companies.abn,
        companies.domain,

        ---- text
        companies.company_name,
        companies.phone,
        companies.city,
        companies.state,
        companies.postcode,
        companies.country,
        companies.company_type,
        companies.account_status,
        companies.wholesale_discount_tier,
        companies.payment_terms,

        ---- numerics
        companies.minimum_order_value,

        ---- what they bought
        coalesce(bought.businesses, '{}') as businesses,
        coalesce(bought.orders, 0) as orders,
        coalesce(bought.revenue, 0)::numeric(14, 2) as revenue,

        ---- days
        bought.first_order_on,
        bought.last_order_on,
        {{ business_day('companies.known_since') }} as known_since
    from companies
    left join bought on companies.company_id = bought.company_id

)

select * from final
