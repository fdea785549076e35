-- Marks identities whose record is gone, and those whose record is back.
update core.identities as identities
set gone_at = case when now_present.present then null else clock_timestamp() end
from (
    select known.identity_id, coalesce(said.present, false) as present
    from core.identities as known
    left join said
        on known.system = said.system
        and known.account = said.account
        and known.external_id = said.external_id
    where known.entity = %(entity)s::text
) as now_present
where
    identities.identity_id = now_present.identity_id
    and (identities.gone_at is null) <> now_present.present
