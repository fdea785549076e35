with

source as (

    {{ union_accounts('hubspot', 'deal_line_items') }}

),

parents as (

    {{ union_accounts('hubspot', 'deals') }}

),

of_current_parents as (

    select source.*
    from source
    inner join parents
        on source.account = parents.account
        and source.from_id = parents.id
    where
        parents._deleted_at is null
        and {{ is_of_version('source', 'parents.updated_at') }}

),

renamed as (

    select
        account,

        ---- ids
        from_id as deal_hubspot_id,
        to_id as line_item_hubspot_id,

        ---- details
        association_types,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from of_current_parents
    where _deleted_at is null

)

select * from renamed
