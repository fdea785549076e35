{#-
    Orders are made again only where something changed. `int_orders` decides it: `forget_changed_orders` takes the rows
    of changed and vanished orders away, and what is missing is made. The facts follow: what they hold is forgotten
    where `int_orders` has made the order again since, and what they lack is made. Each happens in one transaction.

    An order has changed if it, or its copy at Unleashed, came with another load; if it came with a load that was not
    finished when it was made, and may have been seen by half; if a line of either was a dead letter and has been
    replayed since; if it became a copy, or isn't one any more. Changed configuration or arithmetic needs `--full-refresh`.
-#}
{% macro forget_changed_orders() %}
    {%- if is_incremental() %}
    ---- tables of their own, so that the planner knows how much it is
    create temporary table versions on commit drop as
    select * from {{ ref('int_order_versions') }};
    analyze versions;

    delete from {{ this }} as made
    where not exists (
        select from versions
        where
            {{ same_version('versions', 'made') }}
    );

    {% for of in ['', 'copy_'] -%}
    delete from {{ this }} as made
    using {{ source('ops', 'loads') }} as loads
    where
        made.{{ of }}load_id = loads.load_id
        and coalesce(loads.finished_at, 'infinity') >= made.made_at;

    delete from {{ this }} as made
    using {{ source('ops', 'dead_letters') }} as letters
    where
        letters.status = 'replayed'
        and made.{{ of }}account = letters.account
        and made.{{ of }}external_id = letters.payload ->> 'parent_key'
        and letters.resolved_at >= made.made_at;

    {% endfor -%}
    create temporary table missing_orders on commit drop as
    select *
    from versions
    where not exists (
        select from {{ this }} as made
        where made.account = versions.account and made.external_id = versions.external_id
    );
    analyze missing_orders
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{#- Equal in everything that an order is made from; without nulls, so that it can be hashed. -#}
{% macro same_version(one, other) -%}
    {%- set columns = ['account', 'external_id', 'load_id', 'is_mirrored', 'is_wholesale', 'copy_account', 'copy_external_id', 'copy_load_id'] -%}
    {%- set absent = {'load_id': '0', 'copy_load_id': '0', 'copy_account': "''", 'copy_external_id': "''"} -%}
    {%- for column in columns -%}
    {%- if column in absent -%}
    coalesce({{ one }}.{{ column }}, {{ absent[column] }}) = coalesce({{ other }}.{{ column }}, {{ absent[column] }})
    {%- else -%}
    {{ one }}.{{ column }} = {{ other }}.{{ column }}
    {%- endif %}
    {%- if not loop.last %}
            and {% endif -%}
    {%- endfor -%}
{%- endmacro %}


{#- In a fact: takes away what was made of an order as it is no more. -#}
{% macro forget_remade_orders() %}
    {%- if is_incremental() %}
    delete from {{ this }} as fact
    where not exists (
        select from {{ ref('int_orders') }} as orders
        where orders.order_id = fact.order_id and orders.made_at = fact.made_at
    )
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{#- In a fact: the orders that it lacks; `orders_to_make()` names them. -#}
{% macro find_orders_to_make() %}
    {%- if is_incremental() %}
    create temporary table orders_to_make on commit drop as
    select *
    from {{ ref('int_orders') }} as orders
    where not exists (select from {{ this }} as fact where fact.order_id = orders.order_id);
    analyze orders_to_make
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{% macro orders_to_make() -%}
    {{ 'orders_to_make' if is_incremental() else ref('int_orders') }}
{%- endmacro %}


{#-
    In a join with a staging view: says once more, so that indexes are used, that only few of its rows are wanted. Through
    the union of accounts the planner passes an array of ids, and no join.
-#}
{% macro and_only(table, column, ids) -%}
    {%- if is_incremental() %}
        and {{ column }} = any(array(select {{ ids }} from {{ table }}))
    {%- endif %}
{%- endmacro %}


{#- Identity may move a record to another of our entities at any time; the rows that were built before follow. -#}
{% macro follow_identity(column, entity, external_id) %}
    update {{ this }} as fact
    set {{ column }} = identities.id
    from ({{ identities(entity) }}) as identities
    where
        fact.account = identities.account
        and fact.{{ external_id }} = identities.external_id
        and fact.{{ column }} is distinct from identities.id
{% endmacro %}
