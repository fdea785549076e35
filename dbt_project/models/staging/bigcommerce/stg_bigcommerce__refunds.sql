with

source as (

    {{ union_accounts('bigcommerce', 'refunds') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        id as bigcommerce_id,
        order_id as order_bigcommerce_id,

        ---- text
        {{ clean_text('reason') }} as reason,

        ---- numerics
        {{ money('total_amount') }} as amount,
        {{ money('total_tax') }} as tax_total,

        ---- timestamps
        created as refunded_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
