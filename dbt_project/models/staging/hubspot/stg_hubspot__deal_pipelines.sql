with

source as (

    {{ union_accounts('hubspot', 'deal_pipelines') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,

        ---- text
        {{ clean_text('label') }} as pipeline_name,

        ---- numerics
        display_order,

        ---- booleans
        coalesce(archived, false) as is_archived,

        ---- details
        stages,

        ---- timestamps
        created_at,
        updated_at,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    where _deleted_at is null

)

select * from renamed
