{#- Of all KPIs, up to today. Two deals of a day are the same row twice, so that it is made as a whole. -#}

{{ config(alias='events', full_refresh=true) }}

{% for kpi in kpi_keys() -%}
select * from {{ ref(kpi) }}
where date <= {{ today() }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
