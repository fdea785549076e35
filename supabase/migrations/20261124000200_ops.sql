-- What running the platform leaves behind: loads, cursors, dead letters, reconciliations, request metrics, budgets.

create schema ops;
comment on schema ops is 'Telemetry and bookkeeping of the platform itself.';


-- ---- business time

create table ops.clock (
    singleton boolean primary key default true check (singleton),
    offset_seconds double precision not null default 0
);
comment on table ops.clock is 'How far business time is ahead of real time; written by the stand-in world, empty elsewhere.';

create function ops.now() returns timestamptz
    language sql stable
    as $$ select now() + make_interval(secs => coalesce((select offset_seconds from ops.clock), 0)) $$;
comment on function ops.now() is 'Business time: the start of the transaction plus the offset of ops.clock. The twin of clock.now() in Python.';


-- ---- loads

create table ops.loads (
    load_id bigint generated always as identity primary key,
    account text not null,
    stream text not null,
    kind text not null check (kind in ('live', 'backfill', 'sweep', 'replay')),
    status text not null default 'running' check (status in ('running', 'succeeded', 'failed')),
    window_start timestamptz,
    window_end timestamptz,
    rows bigint not null default 0,
    dead_letters bigint not null default 0,
    deleted bigint not null default 0,
    requests bigint not null default 0,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    seconds numeric(12, 3),
    watermark timestamptz,
    business_at timestamptz not null default ops.now(),
    dlt_load_id text,
    dagster_run_id text,
    error text,
    simulated boolean not null default false
);
create index loads_by_stream on ops.loads (account, stream, load_id desc);
create index loads_by_run on ops.loads (dagster_run_id) where dagster_run_id is not null;
comment on table ops.loads is 'One row per load of one stream. The _load_id of every raw row leads here, and from here to the run.';
comment on column ops.loads.kind is 'live: by modification cursor; backfill: by business date; sweep: keys only; replay: dead letters again.';
comment on column ops.loads.window_start is 'First moment of the window that was asked for, inclusive.';
comment on column ops.loads.window_end is 'End of the window that was asked for, exclusive; null = open.';
comment on column ops.loads.deleted is 'Rows that were found gone and marked.';
comment on column ops.loads.requests is 'HTTP requests that the load took, retries included.';
comment on column ops.loads.watermark is 'The newest modification seen; the cursor after a live load.';
comment on column ops.loads.business_at is 'Business time when reading began: up to here the source was read.';
comment on column ops.loads.simulated is 'Whether the stand-in world answered, not the system itself.';

create table ops.cursors (
    account text not null,
    stream text not null,
    watermark timestamptz not null,
    updated_at timestamptz not null default clock_timestamp(),
    primary key (account, stream)
);
comment on table ops.cursors is 'Up to which modification each stream is loaded; moved after the load is committed, never by a backfill.';

create table ops.dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    account text not null,
    stream text not null,
    external_id text,
    column_name text,
    reason text not null,
    payload jsonb not null,
    load_id bigint references ops.loads (load_id),
    status text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
    created_at timestamptz not null default clock_timestamp(),
    resolved_at timestamptz,
    resolved_by text
);
create index dead_letters_open on ops.dead_letters (account, stream, external_id) where status = 'open';
comment on table ops.dead_letters is 'Rows that could not be loaded because a value breaks its type, whole, with the reason.';
comment on column ops.dead_letters.payload is 'The row as the system said it.';

create table ops.unknown_fields (
    account text not null,
    stream text not null,
    field text not null,
    first_seen_at timestamptz not null default clock_timestamp(),
    last_seen_at timestamptz not null default clock_timestamp(),
    occurrences bigint not null default 0,
    primary key (account, stream, field)
);
comment on table ops.unknown_fields is 'Fields that a system sends and no column names; their values are in _extra of the raw rows.';

create table ops.reconciliations (
    reconciliation_id bigint generated always as identity primary key,
    account text not null,
    stream text not null,
    checked_at timestamptz not null default clock_timestamp(),
    source_count bigint not null,
    our_count bigint not null,
    method text not null check (method in ('count', 'sweep', 'parent')),
    load_id bigint references ops.loads (load_id)
);
create index reconciliations_by_stream on ops.reconciliations (account, stream, checked_at desc);
comment on table ops.reconciliations is 'What the source says it has, against the rows that we hold and that are not marked deleted.';
comment on column ops.reconciliations.method is 'count: the API''s own; sweep: keys listed; parent: counted in the parents.';


-- ---- requests

create table ops.api_metrics (
    occurred_at timestamptz not null,
    system text not null,
    account text not null,
    operation text not null,
    method text not null,
    path_template text not null,
    status integer,
    outcome text not null,
    duration_ms numeric(12, 3) not null,
    bytes_received bigint not null,
    attempts integer not null,
    budget_wait_ms numeric(12, 3) not null,
    correlation_id text,
    run_id text
);
create index api_metrics_by_time on ops.api_metrics using brin (occurred_at);
comment on table ops.api_metrics is 'One row per request to an outside system, without secrets and personal data; written in batches, may miss rows of a killed process.';
comment on column ops.api_metrics.status is 'HTTP status; null where no answer came.';
comment on column ops.api_metrics.attempts is 'Which attempt of its operation this was, 1 = first.';
comment on column ops.api_metrics.budget_wait_ms is 'How long it waited for the account''s rate budget.';


-- ---- rate budgets: a sliding window per account and limit, shared by all processes
--
-- A slot is in flight from acquire to settle, then used until a window's length has passed. Used slots are kept in
-- buckets of a hundredth of the window, rounded up, so that a row stays small for a limit of any size. Moments are
-- milliseconds since the epoch, of real time. Each function is one short transaction: nobody waits inside.

create table ops.rate_budgets (
    account text not null,
    window_name text not null,
    window_ms bigint not null check (window_ms > 0),
    configured_limit integer not null,
    current_limit integer not null,
    leases bigint[] not null default '{}',
    used_until bigint[] not null default '{}',
    used_slots integer[] not null default '{}',
    blocked_until bigint not null default 0,
    primary key (account, window_name)
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
comment on table ops.rate_budgets is 'How much of each account''s rate limits is in use, by all processes together.';
comment on column ops.rate_budgets.current_limit is 'What the system''s headers say, else the configured limit.';
comment on column ops.rate_budgets.leases is 'When each request in flight frees its slot if nobody settles it, because its process died.';
comment on column ops.rate_budgets.used_until is 'Buckets, ascending: when their slots become free.';
comment on column ops.rate_budgets.used_slots is 'How many slots each bucket holds.';
comment on column ops.rate_budgets.blocked_until is 'Nothing is granted before: a 429 came.';

create function ops.now_ms() returns bigint
    language sql volatile
    as $$ select (extract(epoch from clock_timestamp()) * 1000)::bigint $$;
comment on function ops.now_ms() is 'Real time in milliseconds since the epoch.';

create function ops.book_slots(budget ops.rate_budgets, until_ms bigint, slots integer) returns ops.rate_budgets
    language plpgsql immutable
    as $$
declare
    grain bigint := greatest(1, budget.window_ms / 100);
    bucket bigint := (until_ms + grain - 1) / grain * grain;
    place integer := array_position(budget.used_until, bucket);
begin
    if place is not null then
        budget.used_slots[place] := budget.used_slots[place] + slots;
    else
        place := (select count(*) from unnest(budget.used_until) as until where until < bucket);
        budget.used_until := budget.used_until[:place] || bucket || budget.used_until[place + 1:];
        budget.used_slots := budget.used_slots[:place] || slots || budget.used_slots[place + 1:];
    end if;
    return budget;
end
$$;
comment on function ops.book_slots is 'The budget with so many slots used until the end of the bucket that holds until_ms.';

create function ops.expire_slots(budget ops.rate_budgets, at_ms bigint) returns ops.rate_budgets
    language plpgsql immutable
    as $$
declare
    expired integer := (select count(*) from unnest(budget.used_until) as until where until <= at_ms);
begin
    if expired > 0 then
        budget.used_until := budget.used_until[expired + 1:];
        budget.used_slots := budget.used_slots[expired + 1:];
    end if;
    if exists (select from unnest(budget.leases) as lease where lease <= at_ms) then
        budget.leases := array(select lease from unnest(budget.leases) as lease where lease > at_ms);
    end if;
    return budget;
end
$$;
comment on function ops.expire_slots is 'The budget without the slots that have become free.';

create function ops.acquire_budget(
    for_account text,
    window_names text[],
    limits integer[],
    windows_ms bigint[],
    lease_ms bigint,
    out wait_ms bigint,
    out full_window text,
    out token bigint[]
)
    language plpgsql
    as $$
declare
    budgets ops.rate_budgets[] := '{}';
    budget ops.rate_budgets;
    excess bigint;
    free_at bigint;
    at_ms bigint;
begin
    -- losing the last moments of a budget in a crash costs a 429 at worst; waiting for the disk costs every request
    perform set_config('synchronous_commit', 'off', true);
    -- always in the order of names, so that two requests with the same windows can't wait for one another
    for i in 1 .. cardinality(window_names) loop
        select * into budget
        from ops.rate_budgets
        where account = for_account and window_name = window_names[i]
        for update;
        if not found then
            insert into ops.rate_budgets as existing (account, window_name, window_ms, configured_limit, current_limit)
            values (for_account, window_names[i], windows_ms[i], limits[i], limits[i])
            on conflict (account, window_name) do update set window_ms = existing.window_ms
            returning * into budget;
        end if;
        if budget.configured_limit <> limits[i] then
            budget.configured_limit := limits[i];
            budget.current_limit := limits[i];
        end if;
        budget.window_ms := windows_ms[i];
        budgets := budgets || budget;
    end loop;

    at_ms := ops.now_ms();
    wait_ms := 0;
    token := '{}';
    for i in 1 .. cardinality(window_names) loop
        budget := ops.expire_slots(budgets[i], at_ms);
        budgets[i] := budget;
        free_at := greatest(at_ms, budget.blocked_until);
        excess := cardinality(budget.leases) - budget.current_limit + 1
            + coalesce((select sum(slots) from unnest(budget.used_slots) as slots), 0);
        if excess > 0 then
            -- the moment at which enough used slots are free; slots in flight free themselves a window from now at best
            free_at := greatest(free_at, coalesce(
                (
                    select min(until)
                    from (
                        select until, sum(slots) over (order by until) as freed
                        from unnest(budget.used_until, budget.used_slots) as bucket (until, slots)
                    ) as freeing
                    where freed >= excess
                ),
                at_ms + budget.window_ms
            ));
        end if;
        if free_at - at_ms > wait_ms then
            wait_ms := free_at - at_ms;
            full_window := budget.window_name;
        end if;
        token := token || (at_ms + lease_ms + budget.window_ms);
    end loop;

    if wait_ms = 0 then
        for i in 1 .. cardinality(window_names) loop
            budget := budgets[i];
            update ops.rate_budgets
            set
                window_ms = budget.window_ms,
                configured_limit = budget.configured_limit,
                current_limit = budget.current_limit,
                leases = budget.leases || token[i],
                used_until = budget.used_until,
                used_slots = budget.used_slots
            where account = for_account and window_name = budget.window_name;
        end loop;
    end if;
end
$$;
comment on function ops.acquire_budget is 'Takes a slot in every window, or none: then says how long to wait at least, and for which window. Window names ascending.';

create function ops.settle_budget(for_account text, window_names text[], token bigint[]) returns void
    language plpgsql
    as $$
declare
    budget ops.rate_budgets;
    place integer;
    at_ms bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    for i in 1 .. cardinality(window_names) loop
        select * into budget
        from ops.rate_budgets
        where account = for_account and window_name = window_names[i]
        for update;
        at_ms := ops.now_ms();
        budget := ops.expire_slots(budget, at_ms);
        place := array_position(budget.leases, token[i]);
        if place is not null then
            budget.leases := budget.leases[:place - 1] || budget.leases[place + 1:];
        end if;
        budget := ops.book_slots(budget, at_ms + budget.window_ms, 1);
        update ops.rate_budgets
        set leases = budget.leases, used_until = budget.used_until, used_slots = budget.used_slots
        where account = for_account and window_name = window_names[i];
    end loop;
end
$$;
comment on function ops.settle_budget is 'The request was answered: its slots are used for a window''s length from now.';

create function ops.adapt_budget(
    for_account text,
    for_window text,
    a_limit integer,
    a_window_ms bigint,
    new_limit integer,
    remaining integer,
    reset_after_ms bigint
) returns void
    language plpgsql
    as $$
declare
    budget ops.rate_budgets;
    at_ms bigint;
    foreign_slots bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into ops.rate_budgets as existing (account, window_name, window_ms, configured_limit, current_limit)
    values (for_account, for_window, a_window_ms, a_limit, a_limit)
    on conflict (account, window_name) do nothing;
    select * into budget
    from ops.rate_budgets
    where account = for_account and window_name = for_window
    for update;
    at_ms := ops.now_ms();
    budget := ops.expire_slots(budget, at_ms);
    if new_limit > 0 then
        budget.current_limit := new_limit;
    end if;
    foreign_slots := budget.current_limit - remaining - cardinality(budget.leases)
        - coalesce((select sum(slots) from unnest(budget.used_slots) as slots), 0);
    if foreign_slots > 0 then
        budget := ops.book_slots(budget, at_ms + coalesce(reset_after_ms, budget.window_ms), foreign_slots::integer);
    end if;
    update ops.rate_budgets
    set
        current_limit = budget.current_limit,
        leases = budget.leases,
        used_until = budget.used_until,
        used_slots = budget.used_slots
    where account = for_account and window_name = for_window;
end
$$;
comment on function ops.adapt_budget is 'Believes the system''s headers: its limit, and what remains; what others used is booked until the reset.';

create function ops.block_budget(for_account text, for_window text, a_limit integer, a_window_ms bigint, for_ms bigint) returns void
    language sql
    as $$
        insert into ops.rate_budgets as existing (account, window_name, window_ms, configured_limit, current_limit, blocked_until)
        values (for_account, for_window, a_window_ms, a_limit, a_limit, ops.now_ms() + for_ms)
        on conflict (account, window_name) do update set blocked_until = greatest(existing.blocked_until, excluded.blocked_until)
    $$;
comment on function ops.block_budget is 'Grants nothing in the window for so long: a 429 came.';
