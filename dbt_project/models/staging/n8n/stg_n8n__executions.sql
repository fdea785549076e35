with

source as (

    {{ union_accounts('n8n', 'executions') }}

),

renamed as (

    select
        account,

        ---- ids
        id as n8n_id,
        workflow_id as workflow_n8n_id,
        retry_of as retry_of_n8n_id,
        retry_success_id as retry_success_n8n_id,

        ---- text
        lower({{ clean_text('status') }}) as execution_status,
        lower({{ clean_text('mode') }}) as mode,

        ---- booleans
        coalesce(finished, false) as is_finished,

        ---- timestamps
        started_at,
        stopped_at,
        modified_at,
        wait_till as waits_until,

        ---- loading
        _loaded_at as loaded_at,
        _load_id as load_id
    from source
    -- n8n forgets runs a while after they ended: those happened, though it has them no longer
    where _deleted_at is null or stopped_at is not null or lower(status) in ('success', 'error', 'crashed', 'canceled')

)

select * from renamed
