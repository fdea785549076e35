-- how far each account has been read: as far as the stream that is furthest behind; and who answered
with streams as (
    select
        account,
        stream,
        max(business_at) as read_up_to
    from ops.loads
    where status = 'succeeded'
    and kind in ('live', 'sweep')
    group by 1, 2
),

ages as (
    select account, min(read_up_to) as read_up_to, count(*)::integer as streams
    from streams
    group by 1
)

select
    account,
    ages.read_up_to,
    coalesce(ages.streams, 0) as streams,
    coalesce(origins.simulated, false) as simulated
from ages
full join ops.origins as origins using (account)
order by account
