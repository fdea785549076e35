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
