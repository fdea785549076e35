{#-
    Of the last three days of the daily stock, what was read again or is gone is forgotten, to be made again: a late load
    is not missed. Everything else of a day that has passed is final: whether a product could be sold on it is known of
    that day alone.
-#}
{% macro forget_changed_stock() %}
    {%- if is_incremental() %}
    delete from {{ this }} as fact
    where
        date > (select max(date) - 3 from {{ this }})
        and (
            date = {{ today() }}
            or not exists (
                select from {{ ref('int_stock') }} as stock
                where
                    stock.account = fact.account
                    and stock.snapshot_date = fact.date
                    and stock.product_external_id = fact.product_external_id
                    and stock.warehouse_code = fact.warehouse_code
                    and stock.load_id = fact.load_id
            )
        )
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}
