{#- The sum of one amount over the members of a JSON list; 0 where there are none. `path` as PostgreSQL writes it. -#}
{% macro json_sum(list, path) -%}
    coalesce((select sum((member #>> '{{ path }}')::numeric) from json_array_elements({{ list }}) as member), 0)
{%- endmacro %}
