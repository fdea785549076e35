-- rows that could not be loaded and that nobody has seen to, by stream
select
    account || '.' || stream as subject,
    split_part(account, '_', 1) as system,
    account,
    ops.business_of(account) as business_key,
    count(*)::double precision as value,
    jsonb_build_object(
        'stream', stream, 'reason', left((array_agg(reason order by dead_letter_id desc))[1], 200)
    ) as detail,
    min(created_at) as began_at
from ops.dead_letters
where created_at <= %(at)s and (status = 'open' or resolved_at > %(at)s)
group by account, stream
