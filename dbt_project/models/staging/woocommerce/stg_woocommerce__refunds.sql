with

source as (

    {{ union_accounts('woocommerce', 'refunds') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as woocommerce_id,
        order_id as order_woocommerce_id,

        ---- text
        {{ clean_text('reason') }} as reason,

        ---- numerics
        {{ money('amount') }} as amount,

        ---- timestamps
        date_created_at as refunded_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
