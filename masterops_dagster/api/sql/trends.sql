-- the median response time of each half hour of the last day, 0 the oldest; of one check of each target only
select
    check_id,
    floor(extract(epoch from checked_at - (%(at)s - interval '24 hours')) / 1800)::integer as half_hour,
    percentile_cont(0.5) within group (order by response_ms::double precision) as response_ms
from ops.health_checks
where checked_at > %(at)s - interval '24 hours'
and checked_at < %(at)s
and check_id = any(%(check_ids)s)
and outcome in ('ok', 'degraded')
and response_ms is not null
group by 1, 2
order by 1, 2
