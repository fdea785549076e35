-- how many seconds ago each stream was last read with success; streams that never were are left to their runs
select
    named.stream as subject,
    split_part(loads.account, '_', 1) as system,
    loads.account,
    ops.business_of(loads.account) as business_key,
    extract(epoch from %(at)s::timestamptz - loads.finished_at)::double precision as value,
    jsonb_build_object('last_load_id', loads.load_id, 'stream', loads.stream) as detail,
    null::timestamptz as began_at
from unnest(%(streams)s::text[]) as named (stream)
cross join lateral (
    select *
    from ops.loads
    where account = split_part(named.stream, '.', 1) and stream = split_part(named.stream, '.', 2)
    and status = 'succeeded' and kind in ('live', 'sweep', 'reload') and finished_at <= %(at)s
    order by load_id desc
    limit 1
) as loads
