{#- Whether a customer code of an account at Unleashed is another business of the group. -#}
{% macro is_intercompany(account, customer_code) -%}
    coalesce(({{ account }}, {{ customer_code }}) in (
        {%- for customer in intercompany_customers() -%}
        ('{{ customer.account_key }}', {{ clean_code("'" ~ customer.customer_code ~ "'") }})
        {{- ', ' if not loop.last }}
        {%- endfor -%}
    ), false)
{%- endmacro %}
