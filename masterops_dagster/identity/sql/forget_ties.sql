delete from core.matches
where
    entity = %(entity)s::text
    and not exists (
        select
        from living_ties
        where
            living_ties.rule = matches.rule
            and living_ties.value = matches.value
            and living_ties.identity_id = matches.identity_id
    )
