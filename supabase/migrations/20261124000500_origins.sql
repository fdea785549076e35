-- Where each account's rows come from, deletions that wait for a person, and what people did by hand.

alter table ops.loads drop constraint loads_kind_check;
alter table ops.loads add constraint loads_kind_check check (kind in ('live', 'backfill', 'sweep', 'replay', 'reload'));
comment on column ops.loads.kind is 'live: by modification cursor; backfill: by business date; sweep: keys only; replay: dead letters again; reload: read anew, all of it or some days, and what is gone marked.';

alter table ops.loads add column held_back bigint not null default 0;
comment on column ops.loads.held_back is 'Rows that were found gone and not marked, because they are suspiciously many.';

create table ops.origins (
    account text primary key,
    origin text not null,
    simulated boolean not null,
    first_seen_at timestamptz not null default ops.now()
);
comment on table ops.origins is 'Whose rows an account''s raw schema holds. A load from anywhere else is refused.';
comment on column ops.origins.origin is 'How the system itself names the account: HubSpot''s portal, a shop''s address; stand-in world where simulated.';
comment on column ops.origins.first_seen_at is 'Business time of its first load; no fact of the account is older than what it said then or later.';

create table ops.held_deletions (
    account text not null,
    stream text not null,
    held_rows bigint not null,
    our_rows bigint not null,
    held_since timestamptz not null default clock_timestamp(),
    last_held_at timestamptz not null default clock_timestamp(),
    load_id bigint references ops.loads (load_id),
    accepted_rows bigint,
    accepted_by text,
    primary key (account, stream)
);
comment on table ops.held_deletions is 'Streams whose system says that suspiciously many rows are gone. The row goes once a load marks them or finds them back.';
comment on column ops.held_deletions.held_rows is 'How many would have been marked.';
comment on column ops.held_deletions.our_rows is 'Of how many.';
comment on column ops.held_deletions.accepted_rows is 'So many may be marked by the next load that finds them gone; null until a person says so.';

create table ops.interventions (
    intervention_id bigint generated always as identity primary key,
    made_at timestamptz not null default clock_timestamp(),
    made_by text not null,
    action text not null check (action in ('reload', 'reset-cursor', 'go-live', 'accept-deletions')),
    account text not null,
    stream text,
    detail jsonb not null default '{}'
);
create index interventions_by_account on ops.interventions (account, intervention_id desc);
comment on table ops.interventions is 'What people did to an account''s loads by hand, and what came of it.';
