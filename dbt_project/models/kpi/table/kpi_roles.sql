with

periods as (

    select * from {{ ref('kpi_periods') }}

),

final as (

    select
        grain,
        period_start,
        ends_at,
        'value' as role,
        'period' as part,
        period_start as part_start
    from periods

    union all

    select
        grain,
        period_start,
        ends_at,
        'prior',
        case when is_running then 'prior' else 'period' end,
        case when is_running then period_start else prior_start end
    from periods
    where prior_start is not null

    union all

    select
        grain,
        period_start,
        ends_at,
        'last_year',
        case when is_running then 'last_year' else 'period' end,
        case when is_running then period_start else last_year_start end
    from periods
    where last_year_start is not null

)

select * from final
