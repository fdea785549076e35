-- Telemetry in monthly partitions, and the state of health, alerts, incidents and what is to be sent.
--
-- Telemetry tables are split twice: by whether a row tells of an error, since errors are kept longer, then by month (UTC),
-- since old months are dropped, never deleted from. ops.ensure_partitions() makes the months; retention drops them.


-- ---- partitions

create function ops.ensure_partitions(from_moment timestamptz, to_moment timestamptz) returns integer
    language plpgsql
    as $$
declare
    parent record;
    month_start timestamptz;
    partition_name text;
    made integer := 0;
begin
    perform pg_advisory_xact_lock(hashtextextended('ops.ensure_partitions', 0));
    for parent in
        select tables.relname
        from pg_partitioned_table as partitioned
        join pg_class as tables on tables.oid = partitioned.partrelid
        where tables.relnamespace = 'ops'::regnamespace and partitioned.partstrat = 'r'
        order by tables.relname
    loop
        month_start := date_trunc('month', from_moment, 'UTC');
        while month_start <= to_moment loop
            partition_name := parent.relname || to_char(month_start at time zone 'UTC', '"_"YYYY"_"MM');
            if to_regclass(format('ops.%I', partition_name)) is null then
                execute format(
                    'create table ops.%I partition of ops.%I for values from (%L) to (%L)',
                    partition_name, parent.relname, month_start,
                    date_trunc('month', month_start + interval '32 days', 'UTC')
                );
                made := made + 1;
            end if;
            month_start := date_trunc('month', month_start + interval '32 days', 'UTC');
        end loop;
    end loop;
    return made;
end
$$;
comment on function ops.ensure_partitions is 'Makes the monthly partitions that are missing between two moments, of every table in ops that is split by range. Returns how many.';


create function ops.business_of(account text) returns text
    language sql immutable
    as $$ select nullif(substr(account, length(split_part(account, '_', 1)) + 2), '') $$;
comment on function ops.business_of is 'The business of an account: teelixir of unleashed_teelixir; null where the group shares it. The twin of Account.key.';


-- ---- what happened: logs, requests, executions

create table ops.integration_logs (
    occurred_at timestamptz not null,
    error boolean not null,
    level text not null,
    logger text not null,
    event text not null,
    program text,
    system text,
    account text,
    business_key text,
    stream text,
    operation text,
    run_id text,
    correlation_id text,
    trace_id text,
    error_class text,
    fields jsonb not null default '{}'
) partition by list (error);
create table ops.integration_logs_rest partition of ops.integration_logs for values in (false) partition by range (occurred_at);
create table ops.integration_logs_errors partition of ops.integration_logs for values in (true) partition by range (occurred_at);
create index integration_logs_by_time on ops.integration_logs (occurred_at desc);
create index integration_logs_by_run on ops.integration_logs (run_id, occurred_at) where run_id is not null;
comment on table ops.integration_logs is 'What the programs said, at INFO and above. Secrets are blanked out before they come here.';
comment on column ops.integration_logs.error is 'Level ERROR and above; such rows are kept longer.';

alter table ops.api_metrics rename to api_metrics_before;
alter index if exists ops.api_metrics_by_time rename to api_metrics_before_by_time;
create table ops.api_metrics (
    occurred_at timestamptz not null,
    error boolean not null,
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
    run_id text,
    stream text,
    trace_id text
) partition by list (error);
create table ops.api_metrics_rest partition of ops.api_metrics for values in (false) partition by range (occurred_at);
create table ops.api_metrics_errors partition of ops.api_metrics for values in (true) partition by range (occurred_at);
create index api_metrics_in_time on ops.api_metrics (occurred_at desc);
create index api_metrics_by_account on ops.api_metrics (account, occurred_at desc);
create index api_metrics_by_run on ops.api_metrics (run_id) where run_id is not null;
comment on table ops.api_metrics is 'One row per HTTP request to an outside system, retries included.';
comment on column ops.api_metrics.outcome is 'ok, repaired, or the kind of the error.';
comment on column ops.api_metrics.correlation_id is 'The id under which the outside system knows the request.';

create table ops.workflow_execution_logs (
    started_at timestamptz not null,
    error boolean not null,
    source text not null check (source in ('dagster', 'dbt', 'n8n', 'masterops')),
    kind text not null check (kind in ('run', 'step', 'sensor', 'schedule', 'node', 'execution', 'command')),
    name text not null,
    execution_id text not null,
    parent_id text,
    system text,
    account text,
    business_key text,
    status text not null check (status in ('succeeded', 'failed', 'cancelled', 'skipped')),
    attempt integer not null default 1,
    ended_at timestamptz,
    duration_ms numeric(14, 3),
    error_class text,
    error_message text,
    correlation_id text,
    detail jsonb not null default '{}',
    recorded_at timestamptz not null default clock_timestamp()
) partition by list (error);
create table ops.workflow_execution_logs_rest partition of ops.workflow_execution_logs for values in (false) partition by range (started_at);
create table ops.workflow_execution_logs_errors partition of ops.workflow_execution_logs for values in (true) partition by range (started_at);
create index workflow_execution_logs_in_time on ops.workflow_execution_logs (started_at desc);
create index workflow_execution_logs_by_name on ops.workflow_execution_logs (source, kind, name, started_at desc);
create index workflow_execution_logs_by_id on ops.workflow_execution_logs (execution_id);
comment on table ops.workflow_execution_logs is 'What ran and ended: Dagster''s runs, steps, sensors and schedules, dbt''s nodes, n8n''s executions.';
comment on column ops.workflow_execution_logs.execution_id is 'A run''s id; run/step; invocation/node; n8n''s execution id.';
comment on column ops.workflow_execution_logs.parent_id is 'The run that it belongs to.';

create table ops.running_executions (
    source text not null,
    execution_id text not null,
    kind text not null,
    name text not null,
    parent_id text,
    system text,
    account text,
    business_key text,
    status text not null,
    started_at timestamptz not null,
    last_progress_at timestamptz,
    seen_at timestamptz not null default clock_timestamp(),
    detail jsonb not null default '{}',
    primary key (source, execution_id)
);
comment on table ops.running_executions is 'What runs or waits right now, as last looked; a row moves to workflow_execution_logs when it ends.';

create table ops.harvests (
    source text primary key,
    position text not null,
    harvested_at timestamptz not null default clock_timestamp()
);
comment on table ops.harvests is 'How far the executions of each source have been taken over.';


-- ---- health

create table ops.health_checks (
    checked_at timestamptz not null,
    error boolean not null,
    check_id text not null,
    system text,
    account text,
    business_key text,
    outcome text not null check (outcome in ('ok', 'degraded', 'failed', 'timed_out', 'broken')),
    response_ms numeric(12, 3),
    message text,
    excused boolean not null default false,
    checked_by text not null,
    detail jsonb not null default '{}'
) partition by list (error);
create table ops.health_checks_rest partition of ops.health_checks for values in (false) partition by range (checked_at);
create table ops.health_checks_errors partition of ops.health_checks for values in (true) partition by range (checked_at);
create index health_checks_by_check on ops.health_checks (check_id, checked_at desc);
comment on table ops.health_checks is 'The result of every health check.';
comment on column ops.health_checks.outcome is 'degraded: works, but slower or with less left than declared; broken: the check itself could not be made.';
comment on column ops.health_checks.excused is 'Made within a maintenance window: does not count for uptime.';

create table ops.health_states (
    check_id text primary key,
    system text,
    account text,
    business_key text,
    status text not null check (status in ('unknown', 'up', 'degraded', 'down')),
    since timestamptz not null,
    failures integer not null default 0,
    successes integer not null default 0,
    first_failure_at timestamptz,
    last_checked_at timestamptz,
    last_ok_at timestamptz,
    next_check_at timestamptz not null,
    response_ms numeric(12, 3),
    message text,
    detail jsonb not null default '{}'
);
comment on table ops.health_states is 'The present state of each check: down after so many failures, up again after so many successes in a row.';
comment on column ops.health_states.first_failure_at is 'When the present row of failures began.';

create table ops.health_days (
    check_id text not null,
    day date not null,
    checks integer not null default 0,
    failed integer not null default 0,
    excused integer not null default 0,
    response_buckets integer[] not null default '{}',
    primary key (check_id, day)
);
comment on table ops.health_days is 'Checks by Melbourne day, kept after the single results are dropped: uptime and response times of months.';
comment on column ops.health_days.response_buckets is 'How many answers fell into each bucket of response time; the bounds are in observability/health.';

create table ops.leases (
    name text primary key,
    holder text not null,
    fence bigint not null default 1,
    acquired_at timestamptz not null,
    renewed_at timestamptz not null,
    expires_at timestamptz not null
);
comment on table ops.leases is 'Who does a work that only one may do at a time; by the database''s own clock.';
comment on column ops.leases.fence is 'Grows whenever the holder changes: what an earlier holder still writes is refused by it.';

create table ops.silences (
    silence_id bigint generated always as identity primary key,
    kind text not null check (kind in ('silence', 'maintenance')),
    matches jsonb not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    reason text not null,
    check (ends_at > starts_at)
);
comment on table ops.silences is 'When nobody is told (silence), and when besides uptime doesn''t count (maintenance).';
comment on column ops.silences.matches is 'Labels that must all be equal: {"rule": …, "system": …, "account": …, "business": …, "check": …}.';


-- ---- alerts and incidents

create table ops.alert_states (
    rule_id text not null,
    fingerprint text not null,
    state text not null check (state in ('pending', 'firing', 'acknowledged', 'resolved')),
    severity text not null check (severity in ('info', 'warning', 'critical')),
    subject text not null,
    system text,
    account text,
    business_key text,
    value double precision,
    message text not null,
    since timestamptz not null,
    fired_at timestamptz,
    clear_since timestamptz,
    resolved_at timestamptz,
    last_seen_at timestamptz not null,
    incident_id uuid,
    suppressed_by text,
    flaps timestamptz[] not null default '{}',
    detail jsonb not null default '{}',
    primary key (rule_id, fingerprint)
);
comment on table ops.alert_states is 'The live state of every alert: what the rules say now. Resolved ones stay a while, so that flapping shows.';
comment on column ops.alert_states.since is 'When the condition began to hold.';
comment on column ops.alert_states.suppressed_by is 'The fingerprint of the alert that explains this one; nobody is told of this one.';
comment on column ops.alert_states.value is 'What was measured. Never money: figures of money stand in detail, as text.';

create table ops.alerts (
    occurred_at timestamptz not null,
    alert_id uuid not null default gen_random_uuid(),
    rule_id text not null,
    fingerprint text not null,
    incident_id uuid,
    from_state text,
    to_state text not null,
    severity text not null,
    subject text not null,
    system text,
    account text,
    business_key text,
    value double precision,
    message text not null,
    by_whom text,
    detail jsonb not null default '{}'
) partition by range (occurred_at);
create index alerts_by_incident on ops.alerts (incident_id, occurred_at);
create index alerts_by_rule on ops.alerts (rule_id, occurred_at desc);
comment on table ops.alerts is 'Every change of state of every alert: the time line of incidents.';

create table ops.incidents (
    opened_at timestamptz not null,
    incident_id uuid not null default gen_random_uuid(),
    cause text not null,
    rule_id text not null,
    title text not null,
    severity text not null check (severity in ('info', 'warning', 'critical')),
    system text,
    account text,
    business_key text,
    owner text,
    state text not null default 'open' check (state in ('open', 'acknowledged', 'resolved')),
    impact text,
    began_at timestamptz not null,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    escalation_step integer not null default 0,
    escalate_at timestamptz,
    detail jsonb not null default '{}',
    primary key (incident_id, opened_at)
) partition by range (opened_at);
create index incidents_open on ops.incidents (cause) where state <> 'resolved';
create index incidents_in_time on ops.incidents (opened_at desc);
comment on table ops.incidents is 'One row per cause, however many alerts tell of it.';
comment on column ops.incidents.cause is 'The fingerprint of the cause: at most one incident of a cause is open at a time.';
comment on column ops.incidents.began_at is 'When the condition began, as far as known: before it was detected.';
comment on column ops.incidents.escalate_at is 'When the next step of the escalation is due, if nobody acknowledges.';

create table ops.notifications (
    created_at timestamptz not null,
    notification_id uuid not null default gen_random_uuid(),
    incident_id uuid,
    kind text not null check (kind in ('opened', 'escalated', 'resolved', 'reminder', 'digest', 'test')),
    contact text not null,
    channels jsonb not null,
    channel text not null,
    deduplication_key text not null,
    content jsonb not null,
    state text not null default 'waiting' check (state in ('waiting', 'held', 'sending', 'sent', 'failed', 'superseded')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    claimed_by text,
    claimed_until timestamptz,
    may_repeat boolean not null default false,
    sent_at timestamptz,
    external_id text,
    last_error text,
    primary key (notification_id, created_at)
) partition by range (created_at);
create index notifications_due on ops.notifications (next_attempt_at) where state in ('waiting', 'sending');
create index notifications_by_incident on ops.notifications (incident_id, created_at);
create index notifications_by_key on ops.notifications (deduplication_key);
comment on table ops.notifications is 'The outbox: written in the transaction that decides, sent afterwards, each once.';
comment on column ops.notifications.channels is 'The channels still to be tried, in order: [{"kind": "slack", "to": "#alerts"}, …]; channel names the present one.';
comment on column ops.notifications.deduplication_key is 'incident/kind/step/contact: written once, whoever decides.';
comment on column ops.notifications.may_repeat is 'Its sender died between sending and recording: the text says that it may come twice.';
comment on column ops.notifications.state is 'held: in quiet hours or for the digest; superseded: over before it was sent.';


-- ---- the months that are needed now, and what was measured before

do $$
begin
    perform ops.ensure_partitions(
        coalesce((select min(occurred_at) from ops.api_metrics_before), now()), now() + interval '62 days'
    );
end
$$;
insert into ops.api_metrics (
    occurred_at, error, system, account, operation, method, path_template, status, outcome,
    duration_ms, bytes_received, attempts, budget_wait_ms, correlation_id, run_id
)
select
    occurred_at, outcome not in ('ok', 'repaired'), system, account, operation, method, path_template, status, outcome,
    duration_ms, bytes_received, attempts, budget_wait_ms, correlation_id, run_id
from ops.api_metrics_before;
drop table ops.api_metrics_before;
