{#-
    The last three days of a daily fact are made again: a late load is not missed, and a day that lost all its rows
    loses them here too. What is missing then are the days after the last one that is left.
-#}
{% macro forget_recent_days() %}
    {%- if is_incremental() %}
    delete from {{ this }}
    where date > (select max(date) - 3 from {{ this }})
    {%- else %}
    select 1
    {%- endif %}
{% endmacro %}
