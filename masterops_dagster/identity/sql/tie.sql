-- Who shares what: each tie is a rule and a value that two or more records have.

create temporary table shared on commit drop as
select row_number() over () as tie, rule, value
from claims
group by rule, value
having count(*) > 1;

create temporary table ties on commit drop as
select distinct shared.tie, claims.rule, claims.value, identities.identity_id
from claims
inner join shared on claims.rule = shared.rule and claims.value = shared.value
inner join core.identities as identities
    on identities.entity = current_setting('masterops.entity')
    and claims.system = identities.system
    and claims.account = identities.account
    and claims.external_id = identities.external_id;

-- A record that is gone, and that nothing else ties, stays where it was: with the oldest of those present that it was
-- one with, if there are any.
insert into ties (tie, rule, value, identity_id)
with

left_behind as (
    select identity_id, entity_id
    from core.identities as identities
    where
        entity = current_setting('masterops.entity')
        and gone_at is not null
        and not exists (
            select
            from claims
            where
                claims.system = identities.system
                and claims.account = identities.account
                and claims.external_id = identities.external_id
        )
),

oldest_present as (
    select min(identity_id) as identity_id, entity_id
    from core.identities
    where
        entity = current_setting('masterops.entity')
        and gone_at is null
        and entity_id in (select entity_id from left_behind)
    group by entity_id
),

members as (
    select * from left_behind
    union all
    select * from oldest_present
)

select - dense_rank() over (order by entity_id), 'former', entity_id::text, identity_id
from members;

create temporary table labels on commit drop as
select distinct identity_id, identity_id as label from ties;

create unique index on labels (identity_id);
create index on labels (label);
create index on ties (tie);
create index on ties (identity_id);
analyze ties;
analyze labels;
