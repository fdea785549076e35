with

source as (

    {{ union_accounts('n8n', 'credentials') }}

),

renamed as (

    select
        account,

        ---- ids
        id as n8n_id,

        ---- text
        {{ clean_text('name') }} as credential_name,
        type as credential_type,

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
