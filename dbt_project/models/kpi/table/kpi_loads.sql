select
    account,
    stream,
    max(business_at) as loaded_until
from {{ source('ops', 'loads') }}
where kind = 'live' and status = 'succeeded'
group by 1, 2
