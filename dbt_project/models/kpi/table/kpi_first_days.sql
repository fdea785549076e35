with

sales as (

    select
        business_key,
        ordered_on
    from {{ ref('fct_orders') }}
    where is_sale

),

final as (

    select
        business_key,
        min(ordered_on) as first_day
    from sales
    group by 1

    union all

    select
        'group',
        min(ordered_on)
    from sales
    having count(*) > 0

)

select * from final
