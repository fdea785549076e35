with

periods as (

    select * from {{ ref('kpi_periods') }}

),

windows as (

    select
        grain,
        period_start,
        'period' as part,
        period_start as since,
        least(period_end, {{ today() }} + 1) as until
    from periods

    union all

    select
        grain,
        period_start,
        'prior',
        prior_start,
        prior_until
    from periods
    where is_running and prior_start is not null

    union all

    select
        grain,
        period_start,
        'last_year',
        last_year_start,
        last_year_until
    from periods
    where is_running and last_year_start is not null

),

final as (

    select
        windows.grain,
        windows.period_start,
        windows.part,
        days.day::date as date
    from windows
    cross join lateral generate_series(windows.since, windows.until - 1, interval '1 day') as days (day)

)

select * from final
