-- Connected records take the smallest label: each group of one label looks for the smallest that its ties reach, and
-- moves there as a whole. With compress.sql in between, the number of rounds grows with the logarithm of a chain.
with

reached as (
    select tie, min(label) as label
    from ties
    inner join labels using (identity_id)
    group by tie
),

moves as (
    select labels.label as from_label, min(reached.label) as to_label
    from ties
    inner join labels using (identity_id)
    inner join reached using (tie)
    where reached.label < labels.label
    group by labels.label
)

update labels
set label = moves.to_label
from moves
where labels.label = moves.from_label
