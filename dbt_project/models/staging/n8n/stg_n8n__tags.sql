with

source as (

    {{ union_accounts('n8n', 'tags') }}

),

renamed as (

    select
        account,

        ---- ids
        id as n8n_id,

        ---- text
        {{ clean_text('name') }} as tag_name,

        ---- timestamps
        created_at,
        updated_at as modified_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
