with

definitions as (

    select * from {{ ref('kpi_definitions') }}

),

accounts as (

    {% for account in accounts() -%}
    select
        '{{ account.key }}'::text as account,
        '{{ account.system }}'::text as system,
        {{ sql_text(account.business_key) if account.business_key else 'null::text' }} as business_key
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

loads as (

    select
        account,
        stream,
        max(business_at) as loaded_until
    from {{ source('ops', 'loads') }}
    where kind = 'live' and status = 'succeeded'
    group by 1, 2

),

levels as (

    select business_key from {{ ref('dim_businesses') }}
    union all
    select 'group'

),

final as (

    select
        definitions.kpi,
        levels.business_key,
        case when bool_and(loads.loaded_until is not null) then min(loads.loaded_until) end as loaded_until
    from definitions
    cross join lateral unnest(definitions.feeds) as feeds (feed)
    inner join accounts on split_part(feeds.feed, '.', 1) = accounts.system
    inner join levels
        on levels.business_key in ('group', coalesce(accounts.business_key, levels.business_key))
    left join loads
        on accounts.account = loads.account
        and split_part(feeds.feed, '.', 2) = loads.stream
    group by 1, 2

)

select * from final
