-- by how many rows we and the system differ: more than what may change while one counts, or twice in a row the same way
select
    named.stream as subject,
    split_part(last.account, '_', 1) as system,
    last.account,
    ops.business_of(last.account) as business_key,
    abs(last.gap)::double precision as value,
    jsonb_build_object(
        'theirs', last.source_count, 'ours', last.our_count, 'method', last.method,
        'direction', case when last.gap > 0 then 'missing' else 'too many' end
    ) as detail,
    last.checked_at as began_at
from unnest(%(streams)s::text[]) as named (stream)
cross join lateral (
    select *, source_count - our_count as gap
    from ops.reconciliations
    where account = split_part(named.stream, '.', 1) and stream = split_part(named.stream, '.', 2)
    and checked_at <= %(at)s
    order by checked_at desc
    limit 1
) as last
left join lateral (
    select source_count - our_count as gap
    from ops.reconciliations
    where account = last.account and stream = last.stream and checked_at < last.checked_at
    order by checked_at desc
    limit 1
) as before on true
where last.gap <> 0
and (
    abs(last.gap) > greatest(
        coalesce((%(parameters)s::jsonb ->> 'tolerated_rows')::numeric, 0),
        last.source_count * coalesce((%(parameters)s::jsonb ->> 'tolerated_percent')::numeric, 0) / 100
    )
    or sign(last.gap) = sign(before.gap)
)
