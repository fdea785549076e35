{#- What cleaning means, once. Every macro takes a text expression and gives null where nothing usable is left. -#}

{#- Without the whitespace at both ends, Unicode's included; empty is null. -#}
{% macro clean_text(expression) -%}
    nullif(btrim({{ expression }}, E' \t\n\r\f\x0b\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'), '')
{%- endmacro %}


{#- Lower case; null unless it holds an @. -#}
{% macro clean_email(expression) -%}
    case when strpos({{ expression }}, '@') > 0 then lower({{ clean_text(expression) }}) end
{%- endmacro %}


{#- Codes (SKUs, customer codes) are compared in upper case. -#}
{% macro clean_code(expression) -%}
    upper({{ clean_text(expression) }})
{%- endmacro %}


{#- Digits of an Australian business number if there are eleven and the check digits hold (ATO: weights, modulus 89). -#}
{% macro clean_abn(expression) -%}
    {%- set digits = "regexp_replace(" ~ expression ~ ", '[^0-9]', '', 'g')" -%}
    case
        when {{ digits }} ~ '^[1-9][0-9]{10}$'
        and (
            (substr({{ digits }}, 1, 1)::integer - 1) * 10
            {%- for weight in [1, 3, 5, 7, 9, 11, 13, 15, 17, 19] %}
            + substr({{ digits }}, {{ loop.index + 1 }}, 1)::integer * {{ weight }}
            {%- endfor %}
        ) % 89 = 0
        then {{ digits }}
    end
{%- endmacro %}


{#- Digits with the country in front (+61 for Australian numbers); null with fewer than eight digits. -#}
{% macro clean_phone(expression) -%}
    {%- set digits = "regexp_replace(" ~ expression ~ ", '[^0-9]', '', 'g')" -%}
    case
        when length({{ digits }}) < 8 then null
        when {{ digits }} ~ '^0[2-9][0-9]{8}$' then '+61' || substr({{ digits }}, 2)
        when {{ digits }} ~ '^(61)[2-9][0-9]{8}$' or strpos({{ expression }}, '+') > 0 then '+' || {{ digits }}
        else {{ digits }}
    end
{%- endmacro %}


{#- A `;`-separated list as an array of its clean, different members; empty rather than null. -#}
{% macro clean_list(expression, clean=none) -%}
    {%- set clean = clean or clean_text -%}
    array(
        select distinct {{ clean('member') }}
        from unnest(string_to_array({{ expression }}, ';')) as members (member)
        where {{ clean('member') }} is not null
        order by 1
    )
{%- endmacro %}


{#- Money as ARCHITECTURE.md names it. -#}
{% macro money(expression) -%}
    ({{ expression }})::numeric(14, 2)
{%- endmacro %}
