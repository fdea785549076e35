with

source as (

    {{ union_accounts('hubspot', 'owners') }}

),

renamed as (

    select
        account,

        ---- ids
        id as hubspot_id,
        user_id as user_hubspot_id,

        ---- text
        {{ clean_email('email') }} as email,
        {{ clean_text('first_name') }} as first_name,
        {{ clean_text('last_name') }} as last_name,

        ---- booleans
        coalesce(archived, false) as is_archived,

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
