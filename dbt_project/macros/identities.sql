{#- Which of our records an outside one is: system, account, external_id, id; each outside record once. -#}
{% macro identities(entity) %}
    select
        system,
        account,
        external_id,
        entity_id as id
    from {{ source('core', 'identities') }}
    where entity = '{{ entity }}'
{% endmacro %}
