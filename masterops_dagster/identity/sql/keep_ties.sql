insert into core.matches (entity, rule, value, identity_id)
select %(entity)s::text, rule, value, identity_id
from living_ties
where
    not exists (
        select
        from core.matches
        where
            matches.entity = %(entity)s::text
            and matches.rule = living_ties.rule
            and matches.value = living_ties.value
            and matches.identity_id = living_ties.identity_id
    )
-- sorted first, inserted then: a join with a table that grows under it would never end
order by rule, value, identity_id
