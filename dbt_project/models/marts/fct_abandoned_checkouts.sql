with

checkouts as (

    select * from {{ ref('stg_shopify__abandoned_checkouts') }}

),

customers as (

    {{ identities('customer') }}

),

final as (

    select
        ---- ids
        {{ key(['checkouts.account', 'checkouts.shopify_id']) }} as checkout_id,
        checkouts.business_key,
        checkouts.account,
        checkouts.shopify_id as external_id,
        customers.id as customer_id,

        ---- state
        checkouts.completed_at is not null as is_recovered,

        ---- days
        {{ business_day('checkouts.created_at') }} as created_on,
        {{ business_day('checkouts.completed_at') }} as recovered_on,

        ---- money
        checkouts.tax_total,
        checkouts.total
    from checkouts
    left join customers
        on checkouts.account = customers.account
        and checkouts.customer_external_id = customers.external_id

)

select * from final
