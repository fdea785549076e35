with

source as (

    {{ union_accounts('bigcommerce', 'refund_items') }}

),

parents as (

    {{ union_accounts('bigcommerce', 'refunds') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.refund_id = parents.id
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.created') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        refund_id as refund_bigcommerce_id,
        item_id as item_bigcommerce_id,

        ---- text
        lower({{ clean_text('item_type') }}) as item_type,
        {{ clean_text('reason') }} as reason,

        ---- numerics
        quantity,
        {{ money('requested_amount') }} as amount,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
