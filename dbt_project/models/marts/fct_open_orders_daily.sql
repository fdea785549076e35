{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['account', 'date'],
        on_schema_change='append_new_columns',
        full_refresh=false,
    )
}}

{#-
    The state of orders is not kept by Unleashed: how many are open is known only while it is so. Each build writes the
    day of the last live load, and a full refresh leaves the days before it alone.
-#}

with

orders as (

    select * from {{ ref('int_orders') }}
    where system = 'unleashed' and not is_mirrored

),

loads as (

    select
        account,
        {{ business_day('max(business_at)') }} as date
    from {{ source('ops', 'loads') }}
    where
        stream = 'sales_orders'
        and kind = 'live'
        and status = 'succeeded'
    group by 1

),

accounts as (

    {% for account in accounts('unleashed') -%}
    {%- for is_intercompany in ['false', 'true'] -%}
    select
        '{{ account.key }}'::text as account,
        '{{ account.business_key }}'::text as business_key,
        {{ is_intercompany }} as is_intercompany
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

final as (

    select
        accounts.business_key,
        accounts.account,
        loads.date,
        accounts.is_intercompany,
        count(*) filter (where orders.status = 'placed') as placed_orders,
        count(*) filter (where orders.status = 'backordered') as backordered_orders
    from accounts
    inner join loads on accounts.account = loads.account
    left join orders
        on accounts.account = orders.account
        and accounts.is_intercompany = orders.is_intercompany
    group by 1, 2, 3, 4

)

select * from final
