-- Telemetry as people and programs ask for it: how integrations stand, errors, durations, quotas, what ran.
--
-- Each question is a function of two moments, read by partition, and a view of the last day or week of the same name.
-- Moments are real time (UTC); what "loaded until" says is business time.


-- ---- requests

create function ops.error_rates_between(from_moment timestamptz, to_moment timestamptz)
    returns table (
        account text,
        system text,
        requests bigint,
        errors bigint,
        rate_limited bigint,
        error_rate double precision,
        commonest_error text,
        last_error_at timestamptz
    )
    language sql stable parallel safe
    as $$
        select
            metrics.account,
            min(metrics.system),
            count(*),
            count(*) filter (where metrics.error and metrics.outcome <> 'rate_limited'),
            count(*) filter (where metrics.outcome = 'rate_limited'),
            count(*) filter (where metrics.error and metrics.outcome <> 'rate_limited') / count(*)::double precision,
            mode() within group (order by metrics.outcome)
                filter (where metrics.error and metrics.outcome <> 'rate_limited'),
            max(metrics.occurred_at) filter (where metrics.error and metrics.outcome <> 'rate_limited')
        from ops.api_metrics as metrics
        where metrics.occurred_at >= from_moment and metrics.occurred_at < to_moment
        group by metrics.account
    $$;
comment on function ops.error_rates_between is 'Requests and errors of each account. Being told to slow down is no error; it has a count of its own. Rates are shares of 1.';

create function ops.request_latencies_between(from_moment timestamptz, to_moment timestamptz)
    returns table (
        account text,
        system text,
        operation text,
        requests bigint,
        errors bigint,
        p50_ms double precision,
        p95_ms double precision,
        p99_ms double precision,
        max_ms double precision
    )
    language sql stable parallel safe
    as $$
        with

        measured as (

            select
                metrics.account,
                min(metrics.system) as system,
                metrics.operation,
                count(*) as requests,
                count(*) filter (where metrics.error) as errors,
                percentile_cont(array[0.5, 0.95, 0.99, 1]::double precision[])
                    within group (order by metrics.duration_ms::double precision) as durations
            from ops.api_metrics as metrics
            where metrics.occurred_at >= from_moment and metrics.occurred_at < to_moment
            group by metrics.account, metrics.operation

        )

        select account, system, operation, requests, errors, durations[1], durations[2], durations[3], durations[4]
        from measured
    $$;
comment on function ops.request_latencies_between is 'How long requests took, by account and operation, from sending to the last byte; failed ones count.';

create function ops.slowest_requests_between(from_moment timestamptz, to_moment timestamptz)
    returns table (
        occurred_at timestamptz,
        account text,
        operation text,
        method text,
        path_template text,
        status integer,
        outcome text,
        duration_ms numeric,
        attempts integer,
        budget_wait_ms numeric,
        stream text,
        run_id text,
        correlation_id text
    )
    language sql stable parallel safe
    as $$
        select
            metrics.occurred_at,
            metrics.account,
            metrics.operation,
            metrics.method,
            metrics.path_template,
            metrics.status,
            metrics.outcome,
            metrics.duration_ms,
            metrics.attempts,
            metrics.budget_wait_ms,
            metrics.stream,
            metrics.run_id,
            metrics.correlation_id
        from ops.api_metrics as metrics
        where metrics.occurred_at >= from_moment and metrics.occurred_at < to_moment
        order by metrics.duration_ms desc
        limit 100
    $$;
comment on function ops.slowest_requests_between is 'The hundred requests that took longest, with what leads to them.';

create function ops.requests_by_hour_between(from_moment timestamptz, to_moment timestamptz)
    returns table (
        hour timestamptz,
        account text,
        requests bigint,
        errors bigint,
        p50_ms double precision,
        p95_ms double precision,
        bytes_received numeric,
        budget_wait_ms numeric
    )
    language sql stable parallel safe
    as $$
        select
            date_trunc('hour', metrics.occurred_at, 'UTC') as hour,
            metrics.account,
            count(*),
            count(*) filter (where metrics.error and metrics.outcome <> 'rate_limited'),
            percentile_cont(0.5) within group (order by metrics.duration_ms::double precision),
            percentile_cont(0.95) within group (order by metrics.duration_ms::double precision),
            sum(metrics.bytes_received),
            sum(metrics.budget_wait_ms)
        from ops.api_metrics as metrics
        where metrics.occurred_at >= from_moment and metrics.occurred_at < to_moment
        group by 1, metrics.account
    $$;
comment on function ops.requests_by_hour_between is 'Requests of each account by hour.';

create view ops.error_rates as
select * from ops.error_rates_between(now() - interval '1 day', now());
comment on view ops.error_rates is 'Requests and errors of each account within the last day.';

create view ops.request_latencies as
select * from ops.request_latencies_between(now() - interval '1 day', now());
comment on view ops.request_latencies is 'How long requests took within the last day, by account and operation.';

create view ops.slowest_requests as
select * from ops.slowest_requests_between(now() - interval '1 day', now());
comment on view ops.slowest_requests is 'The hundred requests of the last day that took longest.';

create view ops.requests_by_hour as
select * from ops.requests_by_hour_between(now() - interval '7 days', now());
comment on view ops.requests_by_hour is 'Requests of each account by hour, of the last week.';


-- ---- quotas

create function ops.quota_use_at(at_moment timestamptz)
    returns table (
        account text,
        system text,
        quota text,
        unit text,
        window_seconds double precision,
        used double precision,
        quota_limit integer,
        used_share double precision,
        blocked_until timestamptz
    )
    language sql stable parallel safe
    as $$
        with

        at_seconds as (

            select extract(epoch from at_moment)::double precision as moment

        ),

        quotas as (

            select
                budgets.account,
                budgets.window_name as quota,
                'requests' as unit,
                budgets.window_ms / 1000.0 as window_seconds,
                coalesce((
                    select sum(slots)
                    from unnest(budgets.used_until, budgets.used_slots) as bucket (until, slots)
                    where until > moment * 1000
                ), 0)
                + (select count(*) from unnest(budgets.leases) as lease where lease > moment * 1000) as used,
                budgets.current_limit as quota_limit,
                case when budgets.blocked_until > moment * 1000 then to_timestamp(budgets.blocked_until / 1000.0) end
                    as blocked_until
            from ops.rate_budgets as budgets
            cross join at_seconds

            union all

            select
                points.account,
                points.bucket_name,
                'points',
                points.current_limit / points.current_per_second,
                least(points.current_limit, greatest(0, points.full_at - moment) * points.current_per_second),
                points.current_limit,
                case when points.blocked_until > moment then to_timestamp(points.blocked_until) end
            from ops.point_budgets as points
            cross join at_seconds

        )

        select
            account,
            split_part(account, '_', 1),
            quota,
            unit,
            window_seconds::double precision,
            used::double precision,
            quota_limit,
            used::double precision / nullif(quota_limit, 0),
            blocked_until
        from quotas
    $$;
comment on function ops.quota_use_at is 'How much of each rate limit is in use, by all processes together. A bucket of points counts the time in which it fills as its window.';

create view ops.quota_use as
select * from ops.quota_use_at(now());
comment on view ops.quota_use is 'How much of each rate limit is in use now.';


-- ---- what ran

create function ops.execution_history_between(from_moment timestamptz, to_moment timestamptz)
    returns table (
        source text,
        kind text,
        name text,
        account text,
        executions bigint,
        succeeded bigint,
        failed bigint,
        cancelled bigint,
        failure_rate double precision,
        p50_ms double precision,
        p95_ms double precision,
        max_ms double precision,
        last_started_at timestamptz,
        last_status text,
        last_failed_at timestamptz,
        last_error_class text,
        last_error_message text
    )
    language sql stable parallel safe
    as $$
        with

        summed as (

            select
                logs.source,
                logs.kind,
                logs.name,
                max(logs.account) as account,
                count(*) as executions,
                count(*) filter (where logs.status = 'succeeded') as succeeded,
                count(*) filter (where logs.status = 'failed') as failed,
                count(*) filter (where logs.status = 'cancelled') as cancelled,
                percentile_cont(array[0.5, 0.95, 1]::double precision[])
                    within group (order by logs.duration_ms::double precision)
                    filter (where logs.duration_ms is not null) as durations,
                max(logs.started_at) as last_started_at,
                (array_agg(logs.status order by logs.started_at desc))[1] as last_status,
                max(logs.started_at) filter (where logs.status = 'failed') as last_failed_at,
                (array_agg(logs.error_class order by logs.started_at desc) filter (where logs.status = 'failed'))[1]
                    as last_error_class,
                (array_agg(logs.error_message order by logs.started_at desc) filter (where logs.status = 'failed'))[1]
                    as last_error_message
            from ops.workflow_execution_logs as logs
            where logs.started_at >= from_moment and logs.started_at < to_moment
            group by logs.source, logs.kind, logs.name

        )

        select
            source,
            kind,
            name,
            account,
            executions,
            succeeded,
            failed,
            cancelled,
            failed / executions::double precision,
            durations[1],
            durations[2],
            durations[3],
            last_started_at,
            last_status,
            last_failed_at,
            last_error_class,
            last_error_message
        from summed
    $$;
comment on function ops.execution_history_between is 'What ran, by name: how often, how it ended, how long it took.';

create view ops.execution_history as
select * from ops.execution_history_between(now() - interval '7 days', now());
comment on view ops.execution_history is 'What ran within the last week, by name.';


-- ---- how integrations stand

create function ops.load_ages()
    returns table (account text, streams bigint, loaded_until timestamptz, last_load_at timestamptz, failing_streams bigint)
    language sql stable parallel safe
    as $$
        with recursive

        streams as (

            (select loads.account, loads.stream from ops.loads as loads order by 1, 2 limit 1)
            union all
            select following.account, following.stream
            from streams
            cross join lateral (
                select loads.account, loads.stream
                from ops.loads as loads
                where (loads.account, loads.stream) > (streams.account, streams.stream)
                order by 1, 2
                limit 1
            ) as following

        )

        select
            streams.account,
            count(*),
            case when count(*) = count(good.business_at) then min(good.business_at) end,
            max(good.finished_at),
            count(*) filter (where latest.status = 'failed')
        from streams
        left join lateral (
            select loads.business_at, loads.finished_at
            from ops.loads as loads
            where loads.account = streams.account and loads.stream = streams.stream
            and loads.status = 'succeeded' and loads.kind in ('live', 'sweep')
            order by loads.load_id desc
            limit 1
        ) as good on true
        left join lateral (
            select loads.status
            from ops.loads as loads
            where loads.account = streams.account and loads.stream = streams.stream and loads.status <> 'running'
            order by loads.load_id desc
            limit 1
        ) as latest on true
        group by streams.account
    $$;
comment on function ops.load_ages is 'Up to which business time each account is loaded: as far as its oldest stream; null before the first load of all of them.';

create view ops.integration_status as
with

accounts as (

    select account from ops.origins
    union
    select account from ops.load_ages()
    union
    select account from ops.health_states where account is not null

),

health as (

    select
        account,
        (array_agg(status order by array_position(array['down', 'degraded', 'unknown', 'up'], status)))[1] as status,
        min(since) filter (where status in ('down', 'degraded')) as since,
        max(last_checked_at) as last_checked_at,
        max(last_ok_at) as last_ok_at,
        (array_agg(message order by array_position(array['down', 'degraded', 'unknown', 'up'], status)))[1] as message
    from ops.health_states
    where account is not null
    group by account

),

requests as (

    select
        account,
        count(*) as requests,
        count(*) filter (where error and outcome <> 'rate_limited') as errors,
        max(occurred_at) as last_request_at,
        max(occurred_at) filter (where error and outcome <> 'rate_limited') as last_error_at
    from ops.api_metrics
    where occurred_at >= now() - interval '1 hour' and occurred_at < now() + interval '1 minute'
    group by account

),

incidents as (

    select account, count(*) as open_incidents
    from ops.incidents
    where state <> 'resolved' and account is not null
    group by account

)

select
    accounts.account,
    split_part(accounts.account, '_', 1) as system,
    ops.business_of(accounts.account) as business_key,
    coalesce(origins.simulated, false) as simulated,
    coalesce(health.status, 'unknown') as health,
    health.since as unwell_since,
    health.last_checked_at,
    health.last_ok_at,
    health.message,
    coalesce(requests.requests, 0) as requests_last_hour,
    coalesce(requests.errors, 0) as errors_last_hour,
    requests.last_request_at,
    requests.last_error_at,
    ages.streams,
    ages.failing_streams,
    ages.loaded_until,
    ages.last_load_at,
    coalesce(incidents.open_incidents, 0) as open_incidents
from accounts
left join ops.origins as origins using (account)
left join health using (account)
left join requests using (account)
left join ops.load_ages() as ages using (account)
left join incidents using (account);
comment on view ops.integration_status is 'The latest state of each account: health, requests of the last hour, how far it is loaded, open incidents.';
