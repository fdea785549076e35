{#-
    From a KPI's events to its values: every grain, the group, the earlier periods and completeness.

    A KPI's file yields a CTE `events` and ends with this macro. Its YAML says under `config.meta`:

      kind      flow      numerator (and denominator) are summed over the days of a period
                distinct  `distinct_key`s are counted: those with a positive numerator less those with a negative one,
                          over those with a positive denominator
                state     the last day of the period that has a row counts
                rolling   as state, but the denominator is a flow: its daily mean over the 90 days that end there
      ratio     whether the value is numerator / denominator (in percent if that is the unit); a ratio has no row where
                there is nothing to divide by, anything else is 0 where a business sold nothing
      group     `own` where the events name the group themselves; else the group is made from all businesses' rows
      feeds     the streams that a figure rests on, as `system.stream`

    Distinct counts and ratios are computed from the rows at every grain and for the group, never from smaller cells.
-#}
{% macro kpi_values(kpi) %}
{%- set meta = kpi_meta(kpi) -%}
{%- set fills_gaps = meta.kind in ['flow', 'distinct'] and not meta.ratio -%}
{%- if meta.kind == 'distinct' %}
{{ kpi_distinct_figures(meta) }}
{%- else %}
{{ kpi_daily(meta) }}
{%- if meta.kind == 'flow' %}
{{ kpi_flow_figures(meta) }}
{%- else %}
{{ kpi_state_figures(meta) }}
{%- endif %}
{%- endif %}
measured as (

    select
        *,
        {{ kpi_value(meta) }} as value
    from figures

),

kpi_rows as (

    select
        business_key,
        grain,
        period_start
    from measured
    where part = 'period' and value is not null
    {%- if fills_gaps %}

    union

    select
        first_days.business_key,
        periods.grain,
        periods.period_start
    from {{ ref('kpi_first_days') }} as first_days
    inner join {{ ref('kpi_periods') }} as periods
        on periods.period_end > first_days.first_day
    {%- endif %}

),

freshness as (

{{ kpi_freshness(meta) }}

),

final as (

    select
        kpi_rows.business_key,
        '{{ kpi }}'::text as kpi,
        kpi_rows.grain,
        case
            when kpi_rows.grain = 'all' then coalesce(first_days.first_day, first_events.date)
            else kpi_rows.period_start
        end as period_start,
        {{ kpi_figure('current_period', 'value', 'periods.period_end', fills_gaps) }} as value,
        {{ kpi_figure('current_period', 'numerator', 'periods.period_end', fills_gaps) }} as numerator,
        current_period.denominator,
        '{{ meta.unit }}'::text as unit,
        {{ kpi_figure('prior', 'value', 'periods.prior_until', fills_gaps) }} as prior_value,
        {{ kpi_figure('last_year', 'value', 'periods.last_year_until', fills_gaps) }} as last_year_value,
        coalesce(periods.ends_at <= {{ now() }} and periods.ends_at <= freshness.loaded_until, false) as complete
    from kpi_rows
    inner join {{ ref('kpi_periods') }} as periods
        on kpi_rows.grain = periods.grain
        and kpi_rows.period_start = periods.period_start
    left join measured as current_period
        on kpi_rows.business_key = current_period.business_key
        and kpi_rows.grain = current_period.grain
        and kpi_rows.period_start = current_period.period_start
        and current_period.part = 'period'
    left join measured as prior
        on kpi_rows.business_key = prior.business_key
        and kpi_rows.grain = prior.grain
        and periods.prior_part = prior.part
        and periods.prior_key = prior.period_start
    left join measured as last_year
        on kpi_rows.business_key = last_year.business_key
        and kpi_rows.grain = last_year.grain
        and periods.last_year_part = last_year.part
        and periods.last_year_key = last_year.period_start
    left join {{ ref('kpi_first_days') }} as first_days on kpi_rows.business_key = first_days.business_key
    left join first_events on kpi_rows.business_key = first_events.business_key
    left join freshness on kpi_rows.business_key = freshness.business_key

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


{#- Numerator and denominator per business and day; the group's too where the events name it themselves. -#}
{% macro kpi_daily(meta) %}
daily as (

    select
        business_key,
        date,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from events
    where date <= {{ today() }}
    group by 1, 2

),

first_events as (
{{ kpi_first_events('daily', meta) }}
),
{% endmacro %}


{% macro kpi_first_events(events, meta) %}
    select
        business_key,
        min(date) as date
    from {{ events }}
    group by 1
    {%- if meta.group != 'own' %}

    union all

    select
        'group',
        min(date)
    from {{ events }}
    {%- endif %}
{% endmacro %}


{% macro kpi_flow_figures(meta) %}
scoped as (

    select * from daily
    {%- if meta.group != 'own' %}

    union all

    select
        'group',
        date,
        sum(numerator),
        sum(denominator)
    from daily
    group by 2
    {%- endif %}

),

figures as (

    select
        scoped.business_key,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        sum(scoped.numerator) as numerator,
        sum(scoped.denominator) as denominator
    from scoped
    inner join {{ ref('kpi_period_days') }} as period_days on scoped.date = period_days.date
    group by 1, 2, 3, 4

),
{% endmacro %}


{% macro kpi_state_figures(meta) %}
states as (

    {% if meta.kind == 'rolling' -%}
    select
        business_key,
        date,
        numerator,
        denominator_mean as denominator
    from (
        select
            *,
            sum(denominator) over (
                partition by business_key
                order by date
                range between interval '89 days' preceding and current row
            ) / 90 as denominator_mean
        from daily
    ) as means
    where numerator is not null
    {%- else -%}
    select * from daily
    {%- endif %}

),

last_states as (

    select distinct on (states.business_key, period_days.grain, period_days.period_start, period_days.part)
        states.business_key,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        states.numerator,
        states.denominator
    from states
    inner join {{ ref('kpi_period_days') }} as period_days on states.date = period_days.date
    order by
        states.business_key, period_days.grain, period_days.period_start, period_days.part, states.date desc

),

figures as (

    select * from last_states

    union all

    select
        'group',
        grain,
        period_start,
        part,
        sum(numerator),
        sum(denominator)
    from last_states
    group by 2, 3, 4

),
{% endmacro %}


{% macro kpi_distinct_figures(meta) %}
scoped as (

    select * from events
    {%- if meta.group != 'own' %}

    union all

    select
        'group',
        date,
        numerator,
        denominator,
        distinct_key
    from events
    {%- endif %}

),

first_events as (

    select
        business_key,
        min(date) as date
    from scoped
    group by 1

),

figures as (

    select
        scoped.business_key,
        period_days.grain,
        period_days.period_start,
        period_days.part,
        (
            count(distinct scoped.distinct_key) filter (where scoped.numerator > 0)
            - count(distinct scoped.distinct_key) filter (where scoped.numerator < 0)
        )::numeric as numerator,
        {% if meta.ratio -%}
        count(distinct scoped.distinct_key) filter (where scoped.denominator > 0)::numeric as denominator
        {%- else -%}
        null::numeric as denominator
        {%- endif %}
    from scoped
    inner join {{ ref('kpi_period_days') }} as period_days on scoped.date = period_days.date
    group by 1, 2, 3, 4

),
{% endmacro %}


{% macro kpi_value(meta) -%}
    {%- if meta.ratio -%}
    round({{ '100 * ' if meta.unit == 'percent' }}numerator / nullif(denominator, 0), 12)
    {%- else -%}
    numerator
    {%- endif -%}
{%- endmacro %}


{#- A figure of a window that ends before `until`; 0 rather than null where the business was selling already. -#}
{% macro kpi_figure(window, column, until, fills_gaps) -%}
    {%- if fills_gaps -%}
    case when {{ until }} > first_days.first_day then coalesce({{ window }}.{{ column }}, 0) else {{ window }}.{{ column }} end
    {%- else -%}
    {{ window }}.{{ column }}
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
