with

source as (

    {{ union_accounts('unleashed', 'product_groups') }}

),

renamed as (

    select
        account,
        business_key,

        ---- ids
        guid as unleashed_id,

        ---- text
        {{ clean_text('group_name') }} as product_group,

        ---- timestamps
        created_on as created_at,
        last_modified_on as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
