{#-
    One stream of all accounts of a system, with the account and its business on every row.

    Columns are named one by one, as the generated sources list them: a column that was promoted later stands last in
    an older table, and `select *` would put it under another one's name.
-#}
{% macro union_accounts(system, stream) %}
    {%- for account in accounts(system) %}
    {%- set relation = source(account.schema, stream) %}
    select
        '{{ account.key }}'::text as account,
        {{ "'" ~ account.business_key ~ "'" if account.business_key else 'null' }}::text as business_key,
        {{ stream_columns(account.schema, stream) | join(',\n        ') }}
    from {{ relation }}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{% endmacro %}


{#- The columns that the generated sources list for a stream; `*` while the project is only parsed. -#}
{% macro stream_columns(schema, stream) %}
    {%- if not execute -%}
        {{ return(['*']) }}
    {%- endif -%}
    {%- for node in graph.sources.values() if node.source_name == schema and node.name == stream -%}
        {{ return(node.columns.keys() | list) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error('the sources list no stream ' ~ schema ~ '.' ~ stream) }}
{% endmacro %}


{#-
    Whether a child row belongs to its parent as the parent is now. A parent whose children were all edited away
    yields no new child rows, so the old ones stay in raw with the version that they were read at.
-#}
{% macro is_of_version(child, parent_modified) -%}
    ({{ parent_modified }} is null or {{ child }}._parent_version >= {{ parent_modified }})
{%- endmacro %}
