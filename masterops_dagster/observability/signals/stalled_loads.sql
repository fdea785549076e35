-- for how many seconds a load that says it is running has made no request, nor has any other of its account
select
    loads.account || '.' || loads.stream as subject,
    split_part(loads.account, '_', 1) as system,
    loads.account,
    ops.business_of(loads.account) as business_key,
    extract(epoch from %(at)s::timestamptz - greatest(loads.started_at, asked.last_at))::double precision as value,
    jsonb_build_object('load_id', loads.load_id, 'run_id', loads.dagster_run_id, 'kind', loads.kind) as detail,
    greatest(loads.started_at, asked.last_at) as began_at
from unnest(%(streams)s::text[]) as named (stream)
cross join lateral (
    select *
    from ops.loads
    where account = split_part(named.stream, '.', 1) and stream = split_part(named.stream, '.', 2)
    and started_at <= %(at)s
    order by load_id desc
    limit 1
) as loads
left join lateral (
    select occurred_at as last_at
    from ops.api_metrics
    where account = loads.account and occurred_at > loads.started_at and occurred_at <= %(at)s
    order by occurred_at desc
    limit 1
) as asked on true
where loads.status = 'running' or loads.finished_at > %(at)s
