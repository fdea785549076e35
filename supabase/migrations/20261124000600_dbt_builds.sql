-- From which state of the dbt project the tables of the warehouse were built: another one builds them anew as a whole.

create table ops.dbt_builds (
    part text primary key,
    made_from text not null,
    built_at timestamptz not null default clock_timestamp()
);

comment on table ops.dbt_builds is 'Which state of the dbt project each part of the warehouse was last built from.';
comment on column ops.dbt_builds.part is 'The Dagster asset definition: marts.';
comment on column ops.dbt_builds.made_from is 'Fingerprint of the project''s files and of dbt''s version.';
