{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['account', 'date'],
        indexes=[{'columns': ['account', 'date']}],
    )
}}

{#- A day's state is final once the day has passed; the last three days are read again, so that a late load is not missed. -#}

with

stock as (

    select * from {{ ref('int_stock') }}
    {%- if is_incremental() %}
    where snapshot_date > (select max(date) - 3 from {{ this }})
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
