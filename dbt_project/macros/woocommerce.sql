{#- What was sold, as `core.identities` knows a WooCommerce product: the product's id, with a variation `product:variation`. -#}
{% macro woocommerce_product(product_id, variation_id) -%}
    case
        when {{ variation_id }} > 0 then {{ product_id }}::text || ':' || {{ variation_id }}::text
        else {{ product_id }}::text
    end
{%- endmacro %}
