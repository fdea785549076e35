{#- Our uuid for a thing of an outside account: always the same for the same account and outside ids. -#}
{% macro key(columns) -%}
    md5({{ columns | join(" || ':' || ") }})::uuid
{%- endmacro %}
