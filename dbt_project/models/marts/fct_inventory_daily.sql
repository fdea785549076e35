{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='append_new_columns',
        full_refresh=false,
        pre_hook="{{ forget_recent_days() }}",
        indexes=[{'columns': ['account', 'date']}],
    )
}}

{#-
    A day's state is final once the day has passed; the last three days are made again by `forget_recent_days`. The days
    before them can't be: retention thins the snapshots, so that a full refresh leaves this table alone.
-#}

with

stock as (

    select * from {{ ref('int_stock') }}
    {%- if is_incremental() %}
    where snapshot_date > (select coalesce(max(date), '-infinity') from {{ this }})
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
        stock.on_hand * stock.average_cost as stock_value
    from stock
    left join products
        on stock.account = products.account
        and stock.product_external_id = products.external_id

)

select * from final
