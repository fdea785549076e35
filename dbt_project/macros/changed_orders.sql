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
    with

    loads as (

        select load_id, coalesce(finished_at, 'infinity') as finished_at
        from {{ source('ops', 'loads') }}

    ),

    replayed as (

        select
            account,
            payload ->> 'parent_key' as external_id,
            max(resolved_at) as resolved_at
        from {{ source('ops', 'dead_letters') }}
        where status = 'replayed' and payload ->> 'parent_key' is not null
        group by 1, 2

    ),

    unchanged as (

        select made.order_id
        from {{ this }} as made
        inner join {{ ref('int_order_versions') }} as versions
            on made.account = versions.account
            and made.external_id = versions.external_id
        left join loads on versions.load_id = loads.load_id
        left join loads as copy_loads on versions.copy_load_id = copy_loads.load_id
        left join replayed
            on versions.account = replayed.account
            and versions.external_id = replayed.external_id
        left join replayed as copy_replayed
            on versions.copy_account = copy_replayed.account
            and versions.copy_external_id = copy_replayed.external_id
        where
            (made.load_id, made.is_mirrored, made.is_wholesale) = (versions.load_id, versions.is_mirrored, versions.is_wholesale)
            and made.copy_external_id is not distinct from versions.copy_external_id
            and made.copy_load_id is not distinct from versions.copy_load_id
            and made.made_at > greatest(
                loads.finished_at, copy_loads.finished_at, replayed.resolved_at, copy_replayed.resolved_at, '-infinity'
            )

    )

    delete from {{ this }} as made
    where not exists (select from unchanged where unchanged.order_id = made.order_id)
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{#- In `int_orders`: what it lacks. A table of its own, so that the planner knows how little it is. -#}
{% macro find_missing_orders() %}
    {%- if is_incremental() %}
    create temporary table missing_orders on commit drop as
    select *
    from {{ ref('int_order_versions') }} as versions
    where not exists (
        select from {{ this }} as made
        where made.account = versions.account and made.external_id = versions.external_id
    );
    analyze missing_orders
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


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
