with

executions as (

    select * from {{ ref('stg_n8n__executions') }}

),

workflows as (

    select * from {{ ref('stg_n8n__workflows') }}

),

final as (

    select
        ---- ids
        executions.n8n_id as execution_n8n_id,
        executions.workflow_n8n_id,

        ---- text
        workflows.workflow_name,
        executions.mode,

        ---- state
        executions.execution_status as status,
        coalesce(executions.execution_status in ('error', 'crashed'), false) as is_failed,
        coalesce(
            executions.stopped_at is null and executions.execution_status in ('new', 'running', 'waiting'), false
        ) as is_running,
        executions.retry_of_n8n_id,

        ---- timestamps
        executions.started_at,
        executions.stopped_at,
        {{ business_day('executions.started_at') }} as started_on,

        ---- numerics
        extract(epoch from executions.stopped_at - executions.started_at) as seconds
    from executions
    left join workflows
        on executions.account = workflows.account
        and executions.workflow_n8n_id = workflows.n8n_id

)

select * from final
