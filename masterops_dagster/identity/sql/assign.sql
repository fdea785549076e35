-- Which of our ids each record has now, and by which rule: the strongest of those that tie it to others of the same id.

create temporary table living_ties on commit drop as
select rule, value, identity_id
from (
    select ties.*, count(*) over (partition by ties.tie, labels.label) as holders
    from ties
    inner join labels using (identity_id)
) as counted
where holders > 1;

create temporary table assigned on commit drop as
with

strongest as (
    select
        identity_id,
        min(array_position(string_to_array(current_setting('masterops.rules'), ','), rule)) as strength
    from living_ties
    group by identity_id
)

select
    identities.identity_id,
    identities.entity_id as from_entity_id,
    coalesce(oldest.own_id, identities.own_id) as entity_id,
    coalesce(split_part(current_setting('masterops.rules'), ',', strongest.strength), 'alone') as rule
from core.identities as identities
left join labels on identities.identity_id = labels.identity_id
left join core.identities as oldest on labels.label = oldest.identity_id
left join strongest on identities.identity_id = strongest.identity_id
where identities.entity = current_setting('masterops.entity');

analyze living_ties;
analyze assigned;
