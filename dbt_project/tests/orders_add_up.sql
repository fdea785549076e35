{#-
    An order's total is its lines after discount, shipping and GST. Systems round GST per line or per order: one cent a
    line is let pass. Fees, which WooCommerce keeps apart, would show here. Gift cards are in the total and no sale.
-#}
{{ config(severity='warn') }}

with

orders as (

    select * from {{ ref('fct_orders') }}
    where status != 'deleted'

),

gift_cards as (

    select * from {{ ref('stg_shopify__order_lines') }}
    where is_gift_card

)

select
    order_id,
    account,
    order_number,
    total,
    revenue + shipping_total + tax_total as made_of
from orders
where
    abs(total - (revenue + shipping_total + tax_total)) > 0.01 * greatest(lines, 1)
    and not exists (
        select from gift_cards
        where gift_cards.account = orders.account and gift_cards.order_shopify_id = orders.external_id
    )
