{#-
    dbt's own views and tables are dropped and made again by every run, and whatever stands on them with them. Here they
    stay, so that a run costs what has changed.
-#}

{#- A view stays while its SQL is as it was; its comment holds the hash. What drops a thing drops the views on it. -#}
{% materialization view, adapter='postgres' %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set made_from = 'made from ' ~ local_md5(sql) -%}
    {%- set found = run_query("select obj_description(to_regclass('" ~ this ~ "'), 'pg_class')") -%}

    {%- if found.rows[0][0] != made_from %}
    {{ run_hooks(pre_hooks) }}
    {% do drop_relation_if_exists(load_cached_relation(this)) %}
    {% call statement('main') -%}
        {{ get_create_view_as_sql(target_relation, sql) }}
        comment on view {{ target_relation }} is '{{ made_from }}'
    {%- endcall %}
    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {%- else %}
    {% do store_result('main', 'UNCHANGED') %}
    {%- endif %}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#-
    Of a table, rows that are as they were stay, and with them `made_at`, if it has one: the moment at which a row was
    made, which is not compared. Rows are told apart by the model's `unique_key`, else by all that they hold: no two may
    be the same. Other columns make another table, as `--full-refresh` does.
-#}
{% materialization table, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is none or not existing.is_table or should_full_refresh() -%}
    {{ return(dbt.materialization_table_default()) }}
    {%- endif -%}
    {%- set target_relation = this.incorporate(type='table') -%}

    {{ run_hooks(pre_hooks) }}
    {% call statement('make') -%}
        create temporary table made_anew on commit drop as (
            {{ sql }}
        )
    {%- endcall %}
    {%- set columns = run_query(columns_of_both(this, 'made_anew')).rows[0] -%}

    {%- if columns['ours'] != columns['anew'] -%}
    {% do run_query('drop table made_anew') %}
    {{ return(dbt.materialization_table_default()) }}
    {%- endif -%}

    {%- set key = config.get('unique_key') %}
    {% call statement('compare') -%}
        create temporary table differences on commit drop as
        select
            kept.ctid as kept,
            made.ctid as made
        {%- if key %}
        from {{ this }} as kept
        full join made_anew as made on kept.{{ key }} = made.{{ key }}
        where
            kept.ctid is null
            or made.ctid is null
            ---- not the same, to the last digit of a number
            or row({{ columns['of_kept'] }})::record *<> row({{ columns['of_made'] }})::record;
        {%- else %}
        from (select ctid, row({{ columns['compared'] }})::text as content from {{ this }}) as kept
        full join (select ctid, row({{ columns['compared'] }})::text as content from made_anew) as made
            on kept.content = made.content
        where kept.ctid is null or made.ctid is null;
        {%- endif %}

        delete from {{ this }} where ctid = any(array(select kept from differences where kept is not null))
    {%- endcall %}
    {% call statement('main') -%}
        insert into {{ this }}
        select * from made_anew
        where ctid = any(array(select made from differences where made is not null))
    {%- endcall %}

    {{ run_hooks(post_hooks) }}
    {% do adapter.commit() %}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}


{#- Names and types of the columns of two tables, and the names by which their rows are compared. -#}
{% macro columns_of_both(ours, anew) %}
    select
        string_agg(column_is, ', ' order by attnum) filter (where attrelid = '{{ ours }}'::regclass) as ours,
        string_agg(column_is, ', ' order by attnum) filter (where attrelid = '{{ anew }}'::regclass) as anew,
        {%- for name, prefix in [('compared', ''), ('of_kept', 'kept.'), ('of_made', 'made.')] %}
        string_agg('{{ prefix }}' || quote_ident(attname), ', ' order by attnum) filter (
            where attrelid = '{{ anew }}'::regclass and attname <> 'made_at'
        ) as {{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from (
        select *, quote_ident(attname) || ' ' || format_type(atttypid, atttypmod) as column_is
        from pg_attribute
        where attrelid in ('{{ ours }}'::regclass, '{{ anew }}'::regclass) and attnum > 0 and not attisdropped
    ) as columns
{% endmacro %}


{#-
    After a build: new tables have no statistics, and what is built on them would be planned blind. Where only a few rows
    were added, those of before are as good.
-#}
{% macro analyze_new() %}
    {%- set result = load_result('main') -%}
    {%- set added = result.response.rows_affected if result and result.response.rows_affected is defined else 0 -%}
    do $$
    begin
        if {{ added }} >= (select greatest(reltuples, 0) / 10 from pg_class where oid = '{{ this }}'::regclass) then
            analyze {{ this }};
        end if;
    end $$
{% endmacro %}
