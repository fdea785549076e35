{#-
    What is made of a buyer is made again where `fct_buyers` has found other purchases since; a buyer who moved to another
    of our customers is one who bought nothing any more, and one who bought more.
-#}

{% macro forget_changed_buyers() %}
    {%- if is_incremental() %}
    delete from {{ this }} as fact
    where not exists (
        select from {{ ref('fct_buyers') }} as buyers
        where buyers.customer_id = fact.customer_id and buyers.made_at = fact.made_at
    )
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{% macro find_buyers_to_make() %}
    {%- if is_incremental() %}
    create temporary table buyers_to_make on commit drop as
    select customer_id, made_at
    from {{ ref('fct_buyers') }} as buyers
    where not exists (select from {{ this }} as fact where fact.customer_id = buyers.customer_id);
    analyze buyers_to_make
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}


{% macro buyers_to_make() -%}
    {{ 'buyers_to_make' if is_incremental() else ref('fct_buyers') }}
{%- endmacro %}
