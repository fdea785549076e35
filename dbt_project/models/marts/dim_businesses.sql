with

businesses as (

    {% for business in businesses() -%}
    select
        '{{ business.key }}'::text as business_key,
        '{{ business.name }}'::text as business_name,
        '{{ business.timezone }}'::text as timezone,
        '{{ business.currency }}'::text as currency,
        {{ loop.index }} as position
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

systems as (

    {% for account in accounts() if account.business_key -%}
    select
        '{{ account.business_key }}'::text as business_key,
        '{{ account.system }}'::text as system
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

final as (

    select
        businesses.business_key,
        businesses.business_name,
        businesses.timezone,
        businesses.currency,
        businesses.position,
        coalesce(array_agg(systems.system order by systems.system) filter (where systems.system is not null), '{}')
            as systems
    from businesses
    left join systems on businesses.business_key = systems.business_key
    group by 1, 2, 3, 4, 5

)

select * from final
