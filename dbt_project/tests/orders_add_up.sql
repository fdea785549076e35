{#-
    An order's total is its lines after discount, shipping and GST. Systems round GST per line or per order: one cent a
    line is let pass. Fees, which WooCommerce keeps apart, would show here.
-#}
{{ config(severity='warn') }}

select
    order_id,
    account,
    order_number,
    total,
    revenue + shipping_total + tax_total as made_of
from {{ ref('fct_orders') }}
where abs(total - (revenue + shipping_total + tax_total)) > 0.01 * greatest(lines, 1)
