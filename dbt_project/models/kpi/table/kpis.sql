{{ config(indexes=[{'columns': ['business_key', 'kpi', 'grain', 'period_start'], 'unique': true}, {'columns': ['grain', 'period_start']}]) }}

{% for kpi in kpi_keys() -%}
select * from {{ ref(kpi) }}
{%- if not loop.last %}
union all
{% endif %}
{%- endfor %}
