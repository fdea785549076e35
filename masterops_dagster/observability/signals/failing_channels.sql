-- channels that refused messages within a quarter of an hour, and have taken none since. A message that was sent by its
-- second channel, or waits for it, was refused by the first.
with

recent as (

    select notification_id, created_at, channel, state, attempts, last_error, sent_at, content
    from ops.notifications
    where created_at <= %(at)s and created_at > %(at)s - interval '15 minutes'

),

refused as (

    select channel, notification_id, created_at, last_error
    from recent
    where last_error is not null and (state in ('waiting', 'sending', 'failed') or sent_at > %(at)s)

    union all

    select earlier.value ->> 'kind', recent.notification_id, recent.created_at, recent.last_error
    from recent
    cross join lateral jsonb_array_elements(recent.content -> 'channels') with ordinality as earlier (value, place)
    where earlier.place < (
        select min(present.place)
        from jsonb_array_elements(recent.content -> 'channels') with ordinality as present (value, place)
        where present.value ->> 'kind' = recent.channel
    )

)

select
    channel as subject,
    'masterops' as system,
    null::text as account,
    null::text as business_key,
    count(distinct notification_id)::double precision as value,
    jsonb_build_object('last_error', coalesce(max(left(last_error, 200)), 'it was refused')) as detail,
    min(created_at) as began_at
from refused
where not exists (
    select from ops.notifications as sent
    where sent.channel = refused.channel and sent.state = 'sent'
    and sent.sent_at >= refused.created_at and sent.sent_at <= %(at)s
    and sent.created_at > %(at)s - interval '1 day'
)
group by channel
