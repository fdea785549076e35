{{ config(alias='definitions') }}

{% for kpi in kpi_keys() -%}
{%- set meta = kpi_meta(kpi) -%}
select
    '{{ kpi }}'::text as kpi,
    {{ sql_text(meta.label) }} as label,
    {{ sql_text(graph.nodes['model.masterops.' ~ kpi].description if execute) }} as description,
    {{ sql_text(meta.formula) }} as formula,
    {{ meta.position or 0 }} as position,
    '{{ meta.unit }}'::text as unit,
    '{{ meta.direction }}'::text as direction,
    '{{ meta.kind }}'::text as kind,
    {{ meta.ratio }} as is_ratio,
    {{ sql_text(meta.owner) }} as owner,
    array[{% for feed in meta.feeds %}'{{ feed }}'{{ ', ' if not loop.last }}{% endfor %}]::text[] as feeds
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
