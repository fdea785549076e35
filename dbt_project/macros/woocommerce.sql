{#- Who bought, as `core.identities` knows a WooCommerce buyer: a customer, else a guest by e-mail, else the order itself. -#}
{% macro woocommerce_buyer(customer_id, email, order_id) -%}
    case
        when {{ customer_id }} > 0 then {{ customer_id }}::text
        else coalesce('guest:' || {{ clean_email(email) }}, 'order:' || {{ order_id }}::text)
    end
{%- endmacro %}


{#- What was sold, as `core.identities` knows a WooCommerce product: the product's id, with a variation `product:variation`. -#}
{% macro woocommerce_product(product_id, variation_id) -%}
    case
        when {{ variation_id }} > 0 then {{ product_id }}::text || ':' || {{ variation_id }}::text
        else {{ product_id }}::text
    end
{%- endmacro %}
