{#- Who bought, as `core.identities` knows a shop's buyer: a customer, else a guest by e-mail, else the order itself. -#}
{% macro buyer(customer_id, email, order_id) -%}
    coalesce({{ customer_id }}::text, 'guest:' || {{ clean_email(email) }}, 'order:' || {{ order_id }}::text)
{%- endmacro %}
