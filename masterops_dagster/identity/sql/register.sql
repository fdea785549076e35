-- Gives every record that a system says or mentions an identity; the oldest and most trusted first, since of matched
-- records the first one's id is everybody's. The id that a record has on its own follows from where it comes from.
insert into core.identities (entity, system, account, external_id, own_id, entity_id, rule, gone_at)
select
    %(entity)s::text,
    system,
    account,
    external_id,
    own_id,
    own_id,
    'alone',
    case when not present then clock_timestamp() end
from said
inner join priorities using (system)
cross join lateral (select md5(concat_ws('|', %(entity)s::text, system, account, external_id))::uuid as own_id) as own
where
    not exists (
        select
        from core.identities as known
        where
            known.entity = %(entity)s::text
            and known.system = said.system
            and known.account = said.account
            and known.external_id = said.external_id
    )
order by
    present desc,
    priorities.priority,
    source_created_at nulls last,
    account,
    external_id
