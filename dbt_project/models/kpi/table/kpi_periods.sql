{#-
    A running period is compared with as many days of the earlier one as it has had so far, today included; an ended
    one with the whole earlier one. Weeks are compared with the week 52 weeks before, days with the same date.
-#}

with

days as (

    select * from {{ ref('dim_dates') }}
    where date <= {{ today() }}

),

starts as (

    select 'day' as grain, date as period_start, interval '1 day' as length, interval '1 year' as year from days
    union
    select 'week', week_start, interval '7 days', interval '364 days' from days
    union
    select 'month', month_start, interval '1 month', interval '1 year' from days
    union
    select 'fy', financial_year_start, interval '1 year', interval '1 year' from days

),

periods as (

    select
        grain,
        period_start,
        (period_start + length)::date as period_end,
        (period_start + length)::date > {{ today() }} as is_running,
        {{ today() }} - period_start + 1 as elapsed,
        (period_start - length)::date as prior_start,
        (period_start - year)::date as last_year_start,
        (period_start - year + length)::date as last_year_end
    from starts

),

windows as (

    select
        grain,
        period_start,
        period_end,
        {{ day_start('period_end') }} as ends_at,
        is_running,
        prior_start,
        case when is_running then least(prior_start + elapsed, period_start) else period_start end as prior_until,
        last_year_start,
        case when is_running then least(last_year_start + elapsed, last_year_end) else last_year_end end as last_year_until
    from periods

    union all

    select
        'all',
        min(date),
        {{ today() }} + 1,
        'infinity',
        true,
        null,
        null,
        null,
        null
    from days

)

select
    *,
    transaction_timestamp() as made_at
from windows
