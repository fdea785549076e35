-- What is tied in those groups that a veto forbids.
with

forbidden as (
    select one.label
    from core.match_vetoes as vetoes
    inner join labels as one on vetoes.identity_id = one.identity_id
    inner join labels as other on vetoes.other_identity_id = other.identity_id
    where vetoes.entity = %(entity)s::text and vetoes.withdrawn_at is null and one.label = other.label
)

select ties.rule, ties.value, array_agg(ties.identity_id order by ties.identity_id)
from ties
inner join labels using (identity_id)
where labels.label in (select label from forbidden)
group by ties.rule, ties.value
