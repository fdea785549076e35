-- Who shares what: each tie is a rule and a value that two or more records have.

create temporary table held on commit drop as
select identities.identity_id, claims.rule, claims.value
from claims
inner join core.identities as identities
    on identities.entity = current_setting('masterops.entity')
    and claims.system = identities.system
    and claims.account = identities.account
    and claims.external_id = identities.external_id
group by 1, 2, 3;

-- A record that is gone stays where it was: with the oldest of those present that it was one with, if there are any.
insert into held (identity_id, rule, value)
with

members as (
    select
        identity_id,
        entity_id,
        gone_at is null as present,
        identity_id in (select identity_id from held) as claims_something
    from core.identities
    where entity = current_setting('masterops.entity')
),

left_behind as (
    select identity_id, entity_id from members
    where not present and not claims_something
),

oldest_present as (
    select entity_id, min(identity_id) as identity_id
    from members
    where present
    group by entity_id
)

select identity_id, 'former', entity_id::text from left_behind
union all
select oldest_present.identity_id, 'former', oldest_present.entity_id::text
from oldest_present
where oldest_present.entity_id in (select entity_id from left_behind);

create temporary table ties on commit drop as
select dense_rank() over (order by rule, value) as tie, rule, value, identity_id
from (select *, count(*) over (partition by rule, value) as holders from held) as counted
where holders > 1;

create temporary table labels on commit drop as
select distinct identity_id, identity_id as label from ties;

create unique index on labels (identity_id);
create index on labels (label);
create index on ties (tie);
create index on ties (identity_id);
analyze ties;
analyze labels;
