-- for how many seconds the oldest message that is due has not been sent, by contact
select
    contact as subject,
    'masterops' as system,
    null::text as account,
    null::text as business_key,
    extract(epoch from %(at)s::timestamptz - min(created_at))::double precision as value,
    jsonb_build_object('messages', count(*), 'last_error', coalesce(max(left(last_error, 200)), 'none')) as detail,
    min(created_at) as began_at
from ops.notifications
where created_at <= %(at)s and created_at > %(at)s - interval '7 days'
and (
    (state in ('waiting', 'sending') and (attempts > 0 or next_attempt_at <= %(at)s))
    or (state = 'sent' and sent_at > %(at)s)
)
group by contact
