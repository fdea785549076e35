{#-
    The order facts are built again only where something changed: `forget_changed_orders` takes the rows of changed and
    vanished orders away, and what is missing is made. Both happen in one transaction.

    An order has changed if it came with a load that is not older than the newest one in the fact (that one may have
    been seen half-finished), if a line of it was a dead letter and has been replayed, or if it counts where it didn't.
    Changed arithmetic, a line's cost say, needs `--full-refresh`.
-#}
{% macro forget_changed_orders() %}
    {%- if is_incremental() %}
    with

    newest as (

        select account, max(load_id) as load_id from {{ this }} group by 1

    ),

    replayed as (

        select distinct account, payload ->> 'parent_key' as external_id
        from {{ source('ops', 'dead_letters') }}
        where status = 'replayed' and payload ->> 'parent_key' is not null

    ),

    unchanged as (

        select
            orders.order_id,
            orders.is_sale
        from {{ ref('int_orders') }} as orders
        inner join newest on orders.account = newest.account
        left join replayed
            on orders.account = replayed.account
            and orders.external_id = replayed.external_id
        where orders.load_id < newest.load_id and replayed.external_id is null

    )

    delete from {{ this }} as fact
    where not exists (
        select from unchanged
        where unchanged.order_id = fact.order_id and unchanged.is_sale = fact.is_sale
    )
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{#- Orders that the fact has to be made for. -#}
{% macro orders_to_make() %}
    select *
    from {{ ref('int_orders') }} as orders
    {%- if is_incremental() %}
    where not exists (select from {{ this }} as fact where fact.order_id = orders.order_id)
    {%- endif %}
{% endmacro %}


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
