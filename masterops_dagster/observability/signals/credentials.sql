-- accounts whose system refused our credentials, as requests and health checks tell, and has not accepted them since
with

refused as (

    select
        account,
        max(system) as system,
        min(occurred_at) as began_at,
        max(occurred_at) as last_at,
        (array_agg(operation order by occurred_at desc))[1] as operation,
        (array_agg(outcome order by occurred_at desc))[1] as outcome
    from ops.api_metrics
    where error
    and outcome in ('authentication', 'permission')
    and occurred_at <= %(at)s and occurred_at > %(at)s - interval '30 minutes'
    group by account

),

standing as (

    select account, system, began_at, operation, outcome
    from refused
    where not exists (
        select from ops.api_metrics as accepted
        where not accepted.error
        and accepted.account = refused.account
        and accepted.occurred_at > refused.last_at and accepted.occurred_at <= %(at)s
        and (refused.outcome = 'authentication' or accepted.operation = refused.operation)
    )

    union all

    select states.account, states.system, made.checked_at, 'the health check', made.detail ->> 'error'
    from ops.health_states as states
    cross join lateral (
        select checked_at, outcome, detail
        from ops.health_checks
        where check_id = states.check_id and checked_at <= %(at)s and checked_at > %(at)s - interval '30 minutes'
        order by checked_at desc
        limit 1
    ) as made
    where states.account is not null
    and made.detail ->> 'error' in ('authentication', 'permission')

)

select distinct on (account)
    account as subject,
    system,
    account,
    ops.business_of(account) as business_key,
    1::double precision as value,
    jsonb_build_object('operation', operation, 'refused_as', outcome) as detail,
    began_at
from standing
order by account, began_at
