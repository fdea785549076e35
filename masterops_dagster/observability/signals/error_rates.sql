-- per cent of each account's requests of the last five minutes that failed; being told to slow down is no failure
with

requests as (

    select
        account,
        max(system) as system,
        count(*) as requests,
        count(*) filter (where error and outcome <> 'rate_limited') as failed,
        mode() within group (order by outcome) filter (where error and outcome <> 'rate_limited') as outcome,
        min(occurred_at) filter (where error and outcome <> 'rate_limited') as began_at
    from ops.api_metrics
    where occurred_at <= %(at)s and occurred_at > %(at)s - interval '5 minutes'
    group by account

)

select
    account as subject,
    system,
    account,
    ops.business_of(account) as business_key,
    100 * failed::double precision / requests as value,
    jsonb_build_object('requests', requests, 'failed', failed, 'outcome', coalesce(outcome, 'none')) as detail,
    began_at
from requests
where requests >= coalesce((%(parameters)s::jsonb ->> 'least_requests')::integer, 20)
