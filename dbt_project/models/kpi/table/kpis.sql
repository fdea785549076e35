{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        pre_hook=["{{ find_periods_to_make() }}", "{{ forget_periods() }}"],
        post_hook="{{ follow_freshness() }}",
        indexes=[
            {'columns': ['business_key', 'kpi', 'grain', 'period_start'], 'unique': true},
            {'columns': ['grain', 'period_start']},
        ],
    )
}}

{#-
    All KPIs in one pass. Distinct counts and ratios are computed from the events at every grain and for the group, never
    from smaller cells. What the parts of YAML mean is said at the macro `kpi_events`. Only periods whose figures may be
    others than before are made, with all of their KPIs; `find_periods_to_make` tells which.
-#}

-- depends_on: {{ ref('kpi_days') }}, {{ ref('kpi_periods') }}

with

events as (

    select * from {{ ref('kpi_events') }}

),

definitions as (

    select * from {{ ref('kpi_definitions') }}

),

roles as (

    select * from {{ ref('kpi_roles') }}
    {%- if is_incremental() %}
    where (grain, period_start) in (select grain, period_start from periods_to_make)
    {%- endif %}

),

period_days as (

    select * from {{ ref('kpi_period_days') }}
    {%- if is_incremental() %}
    where (grain, part, period_start) in (select grain, part, part_start from roles)
    {%- endif %}

),

first_days as (

    select * from {{ ref('kpi_first_days') }}

),

---- flows: the group is all that businesses sold to others; a day without events is 0, not absent, since the first sale

flowing as (

    select
        events.*,
        definitions.kind
    from events
    inner join definitions on events.kpi = definitions.kpi
    where
        definitions.kind in ('flow', 'distinct')
        {%- if is_incremental() %}
        and (events.grain is null or (events.grain, events.date) in (select grain, date from period_days))
        {%- endif %}

),

flows as (

    select kpi, business_key, date, grain, sum(numerator) as numerator, sum(denominator) as denominator
    from flowing
    group by 1, 2, 3, 4

    union all

    select kpi, 'group', date, grain, sum(numerator), sum(denominator)
    from flowing
    where kind = 'flow' and not is_intercompany
    group by 1, 3, 4

    union all

    select definitions.kpi, first_days.business_key, dates.date, null, 0, null
    from definitions
    cross join first_days
    inner join {{ ref('dim_dates') }} as dates
        on dates.date >= first_days.first_day
        and dates.date <= {{ today() }}
    where definitions.kind in ('flow', 'distinct') and not definitions.is_ratio

),

flow_figures as (

    select
        flows.kpi,
        flows.business_key,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        sum(flows.numerator) as numerator,
        sum(flows.denominator) as denominator
    from flows
    inner join period_days
        on flows.date = period_days.date
        and coalesce(flows.grain, period_days.grain) = period_days.grain
    group by 1, 2, 3, 4, 5

),

---- states: what a business adds to the group may be less than its own

stated as (

    select
        events.*,
        definitions.kind
    from events
    inner join definitions on events.kpi = definitions.kpi
    where definitions.kind in ('state', 'rolling')

),

daily_states as (

    select kind, kpi, business_key, false as for_group, date, sum(numerator) as numerator, sum(denominator) as denominator
    from stated
    group by 1, 2, 3, 5

    union all

    select kind, kpi, business_key, true, date, sum(numerator), sum(denominator)
    from stated
    where not is_intercompany
    group by 1, 2, 3, 5

),

states as (

    select
        kpi,
        business_key,
        for_group,
        date,
        numerator,
        case
            when kind = 'rolling' then sum(denominator) over (
                partition by kpi, business_key, for_group
                order by date
                range between interval '89 days' preceding and current row
            ) / 90
            else denominator
        end as denominator
    from daily_states

),

last_states as (

    select distinct on (
        states.kpi,
        states.business_key,
        states.for_group,
        period_days.grain,
        period_days.period_start,
        period_days.part
    )
        states.*,
        period_days.grain,
        period_days.period_start,
        period_days.part
    from states
    inner join period_days on states.date = period_days.date
    where states.numerator is not null
    order by
        states.kpi,
        states.business_key,
        states.for_group,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        states.date desc

),

state_figures as (

    select
        kpi,
        case when for_group then 'group' else business_key end as business_key,
        grain,
        period_start,
        part,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from last_states
    group by 1, 2, 3, 4, 5

),

measured as (

    select
        figures.*,
        definitions.unit,
        case
            when definitions.is_ratio then round(
                case when definitions.unit = 'percent' then 100 else 1 end
                * figures.numerator
                / nullif(figures.denominator, 0),
                12
            )
            else figures.numerator
        end as value
    from (select * from flow_figures union all select * from state_figures) as figures
    inner join definitions on figures.kpi = definitions.kpi

),

---- each figure is the value of its own period and what later ones are compared with; one pass, no self-joins

compared as (

    select
        measured.kpi,
        measured.business_key,
        measured.unit,
        roles.grain,
        roles.period_start,
        roles.ends_at,
        max(measured.value) filter (where roles.role = 'value') as value,
        max(measured.numerator) filter (where roles.role = 'value') as numerator,
        max(measured.denominator) filter (where roles.role = 'value') as denominator,
        max(measured.value) filter (where roles.role = 'prior') as prior_value,
        max(measured.value) filter (where roles.role = 'last_year') as last_year_value
    from measured
    inner join roles
        on measured.grain = roles.grain
        and measured.part = roles.part
        and measured.period_start = roles.part_start
    group by 1, 2, 3, 4, 5, 6

),

first_days_of_events as (

    select
        kpi,
        business_key,
        is_intercompany,
        min(date) as date
    from events
    group by 1, 2, 3

),

first_events as (

    select
        kpi,
        business_key,
        min(date) as date
    from (
        select kpi, business_key, date from first_days_of_events
        union all
        select kpi, 'group', date from first_days_of_events
        where not is_intercompany
    ) as events_of_levels
    group by 1, 2

),

final as (

    select
        compared.business_key,
        compared.kpi,
        compared.grain,
        case
            when compared.grain = 'all' then coalesce(first_days.first_day, first_events.date)
            else compared.period_start
        end as period_start,
        compared.value,
        compared.numerator,
        compared.denominator,
        compared.unit,
        compared.prior_value,
        compared.last_year_value,
        {{ is_complete('compared.ends_at', 'freshness.loaded_until') }} as complete,
        transaction_timestamp() as made_at
    from compared
    left join first_days on compared.business_key = first_days.business_key
    left join first_events
        on compared.kpi = first_events.kpi
        and compared.business_key = first_events.business_key
    left join {{ ref('kpi_freshness') }} as freshness
        on compared.kpi = freshness.kpi
        and compared.business_key = freshness.business_key
    where compared.value is not null

)

select * from final
