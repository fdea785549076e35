-- Dagster jobs whose last run failed (value: runs since the last success), and n8n workflows with failures within an hour
with recursive

names as (

    select
        pairs.source,
        pairs.kind,
        (select min(name) from ops.workflow_execution_logs where source = pairs.source and kind = pairs.kind) as name
    from (values ('dagster', 'run'), ('n8n', 'execution')) as pairs (source, kind)

    union all

    select
        names.source,
        names.kind,
        (
            select min(name)
            from ops.workflow_execution_logs
            where source = names.source and kind = names.kind and name > names.name
        ) as name
    from names
    where names.name is not null

),

ended as (

    select
        names.source,
        names.kind,
        names.name,
        logs.status,
        logs.execution_id,
        logs.started_at,
        logs.ended_at,
        logs.system,
        logs.account,
        logs.business_key,
        logs.error_class,
        logs.error_message
    from names
    cross join lateral (
        select *
        from ops.workflow_execution_logs
        where source = names.source and kind = names.kind and name = names.name
        and started_at <= %(at)s
        and started_at > %(at)s - case names.source when 'n8n' then interval '1 day' else interval '3 days' end
        and coalesce(ended_at, started_at) <= %(at)s
        and status in ('succeeded', 'failed')
        order by started_at desc
        limit 200
    ) as logs

),

judged as (

    select
        source,
        kind,
        name,
        count(*) filter (where status = 'failed' and (
            case
                when source = 'n8n' then ended_at > %(at)s - interval '1 hour'
                else started_at > coalesce(last_success, '-infinity')
            end
        )) as failures,
        min(ended_at) filter (where status = 'failed' and (
            source <> 'n8n' and started_at > coalesce(last_success, '-infinity')
            or source = 'n8n' and ended_at > %(at)s - interval '1 hour'
        )) as began_at,
        (array_agg(to_jsonb(ended) order by started_at desc) filter (where status = 'failed'))[1] as last_failure
    from (
        select
            *,
            max(started_at) filter (where status = 'succeeded') over (partition by source, kind, name) as last_success
        from ended
    ) as ended
    group by source, kind, name

)

select
    judged.name as subject,
    coalesce(last_failure ->> 'system', source) as system,
    coalesce(
        last_failure ->> 'account',
        case when source = 'n8n' then 'n8n' when cardinality(loads.accounts) = 1 then loads.accounts[1] end
    ) as account,
    last_failure ->> 'business_key' as business_key,
    failures::double precision as value,
    jsonb_build_object(
        'source', source,
        'kind', kind,
        'run_id', last_failure ->> 'execution_id',
        'error_class', coalesce(last_failure ->> 'error_class', 'an error'),
        'error', coalesce(left(last_failure ->> 'error_message', 300), 'no message'),
        'accounts', coalesce(to_jsonb(loads.accounts), '[]')
    ) as detail,
    began_at
from judged
left join lateral (
    select array_agg(distinct account order by account) as accounts
    from ops.loads
    where dagster_run_id = judged.last_failure ->> 'execution_id' and status = 'failed'
) as loads on true
where failures > 0
