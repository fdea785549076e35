{#-
    From a KPI's events to its values: every grain, the group, the earlier periods and completeness.

    A KPI's file yields a CTE `events` and ends with this macro. Its YAML says under `config.meta`:

      kind          flow      numerator (and denominator) are summed over the days of a period
                    distinct  as flow, but each grain has events of its own, in which whoever is counted stands on the
                              first day in the period; they name their `grain`, and the group too
                    state     the last day of the period that has a row counts
                    rolling   as state, but the denominator is a flow: its daily mean over the 90 days that end there
      ratio         whether the value is numerator / denominator (in percent if that is the unit); a ratio has no row
                    where there is nothing to divide by, anything else is 0 where a business sold nothing
      intercompany  true where events say `is_intercompany`: such count for their business, and not for the group
      feeds         the streams that a figure rests on, as `system.stream`

    Distinct counts and ratios are computed from the rows at every grain and for the group, never from smaller cells.
-#}
{% macro kpi_values(kpi) %}
{%- set meta = kpi_meta(kpi) -%}
{{ kpi_scoped(meta) }}
{%- if meta.kind in ['flow', 'distinct'] %}
{{ kpi_flow_figures(meta) }}
{%- else %}
{{ kpi_state_figures(meta) }}
{%- endif %}
measured as (

    select
        *,
        {{ kpi_value(meta) }} as value
    from figures

),

---- each figure is the value of its own period and what later ones are compared with; one pass, no self-joins

compared as (

    select
        measured.business_key,
        roles.grain,
        roles.period_start,
        roles.ends_at,
        max(measured.value) filter (where roles.role = 'value') as value,
        max(measured.numerator) filter (where roles.role = 'value') as numerator,
        max(measured.denominator) filter (where roles.role = 'value') as denominator,
        max(measured.value) filter (where roles.role = 'prior') as prior_value,
        max(measured.value) filter (where roles.role = 'last_year') as last_year_value
    from measured
    inner join {{ ref('kpi_roles') }} as roles
        on measured.grain = roles.grain
        and measured.part = roles.part
        and measured.period_start = roles.part_start
    group by 1, 2, 3, 4

),

first_events as (

    select
        business_key,
        min(date) as date
    from scoped
    group by 1

),

freshness as (

{{ kpi_freshness(meta) }}

),

final as (

    select
        compared.business_key,
        '{{ kpi }}'::text as kpi,
        compared.grain,
        case
            when compared.grain = 'all' then coalesce(first_days.first_day, first_events.date)
            else compared.period_start
        end as period_start,
        compared.value,
        compared.numerator,
        compared.denominator,
        '{{ meta.unit }}'::text as unit,
        compared.prior_value,
        compared.last_year_value,
        coalesce(compared.ends_at <= least({{ now() }}, freshness.loaded_until), false)
        and freshness.loaded_until is not null as complete
    from compared
    left join {{ ref('kpi_first_days') }} as first_days on compared.business_key = first_days.business_key
    left join first_events on compared.business_key = first_events.business_key
    left join freshness on compared.business_key = freshness.business_key
    where compared.value is not null

)

select * from final
{% endmacro %}


{#- What the KPI's YAML says. While the project is only parsed nothing is known yet, and a flow stands in. -#}
{% macro kpi_meta(kpi) %}
    {%- if execute -%}
        {%- set meta = graph.nodes['model.masterops.' ~ kpi].config.meta -%}
        {%- for field in ['label', 'position', 'unit', 'direction', 'kind', 'ratio', 'formula', 'owner', 'feeds'] if field not in meta -%}
            {{ exceptions.raise_compiler_error('the YAML of KPI ' ~ kpi ~ ' lacks meta.' ~ field) }}
        {%- endfor -%}
        {{ return(meta) }}
    {%- endif -%}
    {{ return({'kind': 'flow', 'ratio': false, 'unit': 'count', 'feeds': []}) }}
{% endmacro %}


{#-
    The events per business and day, and of the group what counts there: `for_group` where that differs by business,
    rows of its own where they can be added up over businesses. What is counted or summed is 0, not absent, on days
    without events since the first sale.
-#}
{% macro kpi_scoped(meta) %}
{%- set is_distinct = meta.kind == 'distinct' %}
{%- set is_flow = meta.kind == 'flow' %}
{%- set fills_gaps = (is_flow or is_distinct) and not meta.ratio %}
{%- set grain = 'grain' if is_distinct else 'null::text as grain' %}
happened as (

    select *
    from events
    where date <= {{ today() }}

),

scoped as (

    select
        business_key,
        false as for_group,
        date,
        {{ grain }},
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from happened
    group by 1, 2, 3, 4
    {%- if is_flow or meta.intercompany %}

    union all

    select
        {{ "'group'" if is_flow else 'business_key' }},
        {{ not is_flow }},
        date,
        null,
        sum(numerator),
        sum(denominator)
    from happened
    {{- '\n    where not is_intercompany' if meta.intercompany }}
    group by 1, 2, 3
    {%- endif %}
    {%- if fills_gaps %}

    union all

    select
        first_days.business_key,
        false,
        dates.date,
        null,
        0,
        null
    from {{ ref('kpi_first_days') }} as first_days
    inner join {{ ref('dim_dates') }} as dates
        on dates.date >= first_days.first_day
        and dates.date <= {{ today() }}
    {%- endif %}

),
{% endmacro %}


{% macro kpi_flow_figures(meta) %}
figures as (

    select
        scoped.business_key,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        sum(scoped.numerator) as numerator,
        sum(scoped.denominator) as denominator
    from scoped
    inner join {{ ref('kpi_period_days') }} as period_days
        on scoped.date = period_days.date
        and coalesce(scoped.grain, period_days.grain) = period_days.grain
    group by 1, 2, 3, 4

),
{% endmacro %}


{% macro kpi_state_figures(meta) %}
states as (

    {% if meta.kind == 'rolling' -%}
    select
        business_key,
        for_group,
        date,
        numerator,
        denominator_mean as denominator
    from (
        select
            *,
            sum(denominator) over (
                partition by business_key, for_group
                order by date
                range between interval '89 days' preceding and current row
            ) / 90 as denominator_mean
        from scoped
    ) as means
    where numerator is not null
    {%- else -%}
    select * from scoped
    {%- endif %}

),

last_states as (

    select distinct on (
        states.business_key, states.for_group, period_days.grain, period_days.period_start, period_days.part
    )
        states.business_key,
        states.for_group,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        states.numerator,
        states.denominator
    from states
    inner join {{ ref('kpi_period_days') }} as period_days on states.date = period_days.date
    order by
        states.business_key,
        states.for_group,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        states.date desc

),

figures as (

    select
        business_key,
        grain,
        period_start,
        part,
        numerator,
        denominator
    from last_states
    where not for_group

    union all

    select
        'group',
        grain,
        period_start,
        part,
        sum(numerator),
        sum(denominator)
    from last_states
    {{- '\n    where for_group' if meta.intercompany }}
    group by 2, 3, 4

),
{% endmacro %}


{% macro kpi_value(meta) -%}
    {%- if meta.ratio -%}
    round({{ '100 * ' if meta.unit == 'percent' }}numerator / nullif(denominator, 0), 12)
    {%- else -%}
    numerator
    {%- endif -%}
{%- endmacro %}


{#- Up to when every feeding stream of a business, or of the group, has been read; null where one never was. -#}
{% macro kpi_freshness(meta) %}
    {%- set feeds = [] -%}
    {%- for feed in meta.feeds -%}
        {%- set system, stream = feed.split('.') -%}
        {%- for account in accounts(system) -%}
            {%- for business in businesses() if account.business_key in (none, business.key) -%}
                {%- do feeds.append((business.key, account.key, stream)) -%}
                {%- do feeds.append(('group', account.key, stream)) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor %}
    select
        feeds.business_key,
        case when bool_and(loads.loaded_until is not null) then min(loads.loaded_until) end as loaded_until
    from (
        values
        {%- for feed in feeds or [('', '', '')] %}
        ('{{ feed | join("', '") }}')
        {{- ',' if not loop.last }}
        {%- endfor %}
    ) as feeds (business_key, account, stream)
    left join {{ ref('kpi_loads') }} as loads
        on feeds.account = loads.account
        and feeds.stream = loads.stream
    group by 1
{% endmacro %}


{#- A text literal. -#}
{% macro sql_text(value) -%}
    '{{ (value or '') | replace("'", "''") }}'::text
{%- endmacro %}
