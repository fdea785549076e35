with

source as (

    {{ union_accounts('n8n', 'workflows') }}

),

renamed as (

    select
        account,

        ---- ids
        id as n8n_id,
        version_id,

        ---- text
        {{ clean_text('name') }} as workflow_name,

        ---- numerics
        trigger_count,

        ---- booleans
        coalesce(active, false) as is_active,
        coalesce(is_archived, false) as is_archived,

        ---- details
        node_types,
        tags,

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
