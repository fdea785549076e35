-- Rate budgets that are counted in points: a bucket that flows back evenly, shared by all processes.
--
-- A bucket is the moment at which it will be full again (GCRA): what is missing is (full_at - now) x per_second. A
-- request takes its greatest cost and gives back the rest when it is answered; what nobody settles flows back as well.
-- Moments are seconds since the epoch, of real time. Each function is one short transaction: nobody waits inside.

create table ops.point_budgets (
    account text not null,
    bucket_name text not null,
    configured_limit integer not null check (configured_limit > 0),
    configured_per_second double precision not null check (configured_per_second > 0),
    current_limit integer not null check (current_limit > 0),
    current_per_second double precision not null check (current_per_second > 0),
    full_at double precision not null,
    blocked_until double precision not null default 0,
    primary key (account, bucket_name)
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
comment on table ops.point_budgets is 'How many points of each account''s cost budget are in use, by all processes together.';
comment on column ops.point_budgets.current_limit is 'How many points the system says that its bucket holds, else the configured number.';
comment on column ops.point_budgets.current_per_second is 'How many points flow back a second, as the system says, else as configured.';
comment on column ops.point_budgets.full_at is 'When all points will be there again, if none are taken until then; past: they are.';
comment on column ops.point_budgets.blocked_until is 'Nothing is granted before: the system refused a request.';

create function ops.now_seconds() returns double precision
    language sql volatile
    as $$ select extract(epoch from clock_timestamp())::double precision $$;
comment on function ops.now_seconds() is 'Real time in seconds since the epoch.';

create function ops.take_points(
    for_account text,
    for_bucket text,
    a_limit integer,
    a_per_second double precision,
    cost integer,
    out wait_seconds double precision
)
    language plpgsql
    as $$
declare
    at_seconds double precision := ops.now_seconds();
begin
    -- losing the last moments of a budget in a crash costs a refusal at worst; waiting for the disk costs every request
    perform set_config('synchronous_commit', 'off', true);
    insert into ops.point_budgets as existing (
        account, bucket_name, configured_limit, configured_per_second, current_limit, current_per_second, full_at
    )
    values (
        for_account, for_bucket, a_limit, a_per_second, a_limit, a_per_second,
        at_seconds + least(cost, a_limit) / a_per_second
    )
    on conflict (account, bucket_name) do update
    set full_at = greatest(existing.full_at, at_seconds)
        + least(cost, existing.current_limit) / existing.current_per_second
    where
        existing.configured_limit = a_limit
        and existing.configured_per_second = a_per_second
        and existing.blocked_until <= at_seconds
        and existing.full_at - at_seconds
        <= (existing.current_limit - least(cost, existing.current_limit)) / existing.current_per_second
    returning 0 into wait_seconds;
    if found then
        return;
    end if;

    -- the settings have changed: they count again, until the next answer
    update ops.point_budgets
    set
        configured_limit = a_limit,
        configured_per_second = a_per_second,
        current_limit = a_limit,
        current_per_second = a_per_second
    where
        account = for_account and bucket_name = for_bucket
        and (configured_limit <> a_limit or configured_per_second <> a_per_second);

    -- at least a millisecond, since 0 means that the points were taken
    select greatest(
        0.001,
        blocked_until - at_seconds,
        full_at - at_seconds - (current_limit - least(cost, current_limit)) / current_per_second
    )
    into wait_seconds
    from ops.point_budgets
    where account = for_account and bucket_name = for_bucket;
end
$$;
comment on function ops.take_points is 'Takes so many points, or none: then says how many seconds to wait at least. More than the bucket holds means a full one.';

create function ops.settle_points(
    for_account text,
    for_bucket text,
    taken integer,
    cost integer,
    available integer,
    new_limit integer,
    new_per_second double precision
) returns void
    language plpgsql
    as $$
declare
    at_seconds double precision := ops.now_seconds();
begin
    perform set_config('synchronous_commit', 'off', true);
    update ops.point_budgets
    set
        current_limit = coalesce(new_limit, current_limit),
        current_per_second = coalesce(new_per_second, current_per_second),
        full_at = at_seconds + greatest(
            0,
            greatest(0, full_at - at_seconds) * current_per_second
            - coalesce(least(taken, current_limit) - cost, 0),
            coalesce(new_limit, current_limit) - available
        ) / coalesce(new_per_second, current_per_second)
    where account = for_account and bucket_name = for_bucket;
end
$$;
comment on function ops.settle_points is 'Gives back what a request did not cost, and believes the system where it has fewer points than we; null: unsaid.';

create function ops.block_points(
    for_account text,
    for_bucket text,
    a_limit integer,
    a_per_second double precision,
    for_seconds double precision
) returns void
    language sql
    as $$
        insert into ops.point_budgets as existing (
            account, bucket_name, configured_limit, configured_per_second, current_limit, current_per_second, full_at,
            blocked_until
        )
        values (
            for_account, for_bucket, a_limit, a_per_second, a_limit, a_per_second, 0, ops.now_seconds() + for_seconds
        )
        on conflict (account, bucket_name) do update
        set blocked_until = greatest(existing.blocked_until, excluded.blocked_until)
    $$;
comment on function ops.block_points is 'Grants nothing from the bucket for so long: the system refused a request.';
