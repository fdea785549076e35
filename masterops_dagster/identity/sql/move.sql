update core.identities as identities
set
    entity_id = assigned.entity_id,
    rule = assigned.rule,
    matched_at = case when assigned.entity_id = identities.entity_id then identities.matched_at else clock_timestamp() end
from assigned
where
    identities.identity_id = assigned.identity_id
    and (identities.entity_id, identities.rule) <> (assigned.entity_id, assigned.rule)
