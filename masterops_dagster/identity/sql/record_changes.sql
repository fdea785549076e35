-- Keeps a record of every merge and split; a new record that joins others is neither.
insert into core.identity_changes (entity, identity_id, from_entity_id, to_entity_id, rule)
select %(entity)s::text, identity_id, from_entity_id, entity_id, rule
from assigned
where from_entity_id <> entity_id and identity_id <= %(newest_before)s::bigint
order by identity_id
