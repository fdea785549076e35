-- Overrides in force, each with the entity that its record belongs to now: where two entities with an override of one
-- field were merged, the one made for the id that remained wins, then the later one.
select distinct on (identities.entity_id, overrides.field)
    identities.entity_id,
    overrides.field,
    overrides.value
from core.overrides as overrides
inner join core.identities as identities
    on overrides.entity = identities.entity
    and overrides.entity_id = identities.own_id
where overrides.entity = %(entity)s::text and overrides.withdrawn_at is null
order by
    identities.entity_id,
    overrides.field,
    overrides.entity_id = identities.entity_id desc,
    overrides.made_at desc
