{#-
    Figures are made again where `kpi_days` or `kpi_periods` found something to be another than when `kpis` was last
    built, and wherever a period is running. A rolling KPI looks back 89 days, so that a changed day reaches as far
    forward. Should periods be gone, as when the first order is, all is made again: what was compared with them isn't any more.
-#}
{% macro find_periods_to_make() %}
    {%- if is_incremental() %}
    create temporary table periods_to_make on commit drop as
    with

    built as (

        select coalesce(max(made_at), '-infinity') as last_at from {{ this }}

    ),

    gone as (

        select grain, period_start from {{ this }} where grain <> 'all'
        except
        select grain, period_start from {{ ref('kpi_periods') }}

    ),

    changed_days as (

        select distinct days.date + later.days as date
        from {{ ref('kpi_days') }} as days
        cross join generate_series(0, 89) as later (days)
        where days.made_at > (select last_at from built)

    )

    select grain, period_start
    from {{ ref('kpi_periods') }}
    where is_running or made_at > (select last_at from built) or exists (select from gone)

    union

    select roles.grain, roles.period_start
    from {{ ref('kpi_roles') }} as roles
    inner join {{ ref('kpi_period_days') }} as period_days
        on roles.grain = period_days.grain
        and roles.part = period_days.part
        and roles.part_start = period_days.period_start
    where period_days.date in (select date from changed_days);
    analyze periods_to_make
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{#- All but the figures of periods that are as they were. -#}
{% macro forget_periods() %}
    {%- if is_incremental() %}
    delete from {{ this }} as kpis
    where not exists (
        select from (
            select grain, period_start from {{ ref('kpi_periods') }}
            except
            select grain, period_start from periods_to_make
        ) as unchanged
        where unchanged.grain = kpis.grain and unchanged.period_start = kpis.period_start
    )
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{#- Whether a figure is final depends on how far streams were read since, too. -#}
{% macro follow_freshness() %}
    update {{ this }} as kpis
    set complete = found.complete
    from (
        select
            periods.grain,
            periods.period_start,
            freshness.kpi,
            freshness.business_key,
            {{ is_complete('periods.ends_at', 'freshness.loaded_until') }} as complete
        from {{ ref('kpi_periods') }} as periods
        cross join {{ ref('kpi_freshness') }} as freshness
        where periods.grain <> 'all'
    ) as found
    where
        kpis.grain = found.grain
        and kpis.period_start = found.period_start
        and kpis.kpi = found.kpi
        and kpis.business_key = found.business_key
        and kpis.complete <> found.complete
{% endmacro %}


{#- Whether a period has ended and every stream that a figure rests on was read past its end. -#}
{% macro is_complete(ends_at, loaded_until) -%}
    coalesce({{ ends_at }} <= least({{ now() }}, {{ loaded_until }}), false) and {{ loaded_until }} is not null
{%- endmacro %}
