{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        full_refresh=false,
        pre_hook="{{ forget_changed_stock() }}",
        indexes=[{'columns': ['account', 'date']}],
    )
}}

{#-
    Of the last three days what was read again is made again, by `forget_changed_stock`; all else of a day is final once
    the day has passed. The days before can't be made again: retention thins the snapshots, so that a full refresh leaves
    this table alone.
-#}

with

stock as (

    select * from {{ ref('int_stock') }} as stock
    {%- if is_incremental() %}
    where
        snapshot_date > (select coalesce(max(date) - 3, '-infinity') from {{ this }})
        and not exists (
            select from {{ this }} as fact
            where
                fact.account = stock.account
                and fact.date = stock.snapshot_date
                and fact.product_external_id = stock.product_external_id
                and fact.warehouse_code = stock.warehouse_code
        )
    {%- endif %}

),

products as (

    {{ identities('product') }}

),

final as (

    select
        ---- ids
        stock.business_key,
        stock.account,
        stock.snapshot_date as date,
        stock.product_external_id,
        stock.warehouse_code,
        products.id as product_id,

        ---- product
        stock.sku,
        stock.is_sellable,

        ---- numerics
        stock.on_hand,
        stock.available,
        stock.average_cost::numeric(14, 4) as average_cost,
        stock.on_hand * stock.average_cost as stock_value,

        ---- loading
        stock.load_id
    from stock
    left join products
        on stock.account = products.account
        and stock.product_external_id = products.external_id

)

select * from final
