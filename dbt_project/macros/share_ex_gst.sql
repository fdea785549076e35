{#- Of an amount refunded without naming lines, what the order's share ex GST is; null where the order is worth nothing. -#}
{% macro share_ex_gst(amount, order) -%}
    round({{ amount }} * ({{ order }}.total - {{ order }}.tax_total) / nullif({{ order }}.total, 0), 2)
{%- endmacro %}
