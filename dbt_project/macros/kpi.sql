{#-
    What a KPI counts, in the form in which `kpi.kpis` takes all KPIs together and makes their values: every grain, the
    group, the earlier periods and completeness.

    A KPI's file yields a CTE `events` (business_key, date, numerator, denominator) and ends with this macro. Its YAML
    says under `config.meta`:

      kind          flow      numerator (and denominator) are summed over the days of a period
                    distinct  as flow, but each grain has events of its own, in which whoever is counted stands on the
                              first day in the period; they name their `grain`, and the group too
                    state     the last day of the period that has a row counts
                    rolling   as state, but the denominator is a flow: its daily mean over the 90 days that end there
      ratio         whether the value is numerator / denominator (in percent if that is the unit); a ratio has no row
                    where there is nothing to divide by, anything else is 0 where a business sold nothing
      intercompany  true where events say `is_intercompany`: such count for their business, and not for the group
      feeds         the streams that a figure rests on, as `system.stream`
-#}
{% macro kpi_events(kpi) %}
{%- set meta = kpi_meta(kpi) -%}
select
    '{{ kpi }}'::text as kpi,
    business_key::text as business_key,
    {{ 'is_intercompany' if meta.intercompany else 'false as is_intercompany' }},
    date,
    {{ 'grain' if meta.kind == 'distinct' else 'null::text as grain' }},
    numerator::numeric as numerator,
    denominator::numeric as denominator
from events
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


{#- A text literal. -#}
{% macro sql_text(value) -%}
    '{{ (value or '') | replace("'", "''") }}'::text
{%- endmacro %}
