{{ config(alias='events') }}

{#- Of all KPIs, up to today. -#}

{% for kpi in kpi_keys() -%}
select * from {{ ref(kpi) }}
where date <= {{ today() }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
