{#- Which of our records an outside one is: account, external_id, id; each outside record once. -#}
{% macro identities(entity) %}
    select
        account,
        external_id,
        {{ entity }}_id as id
    from {{ source('core', 'identities') }}
    where entity = '{{ entity }}'
{% endmacro %}
