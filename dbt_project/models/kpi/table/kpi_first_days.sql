with

sales as (

    select * from {{ ref('fct_sales_daily') }}
    where orders > 0

),

final as (

    select
        business_key,
        min(date) as first_day
    from sales
    group by 1

    union all

    select
        'group',
        min(date)
    from sales
    where not is_intercompany
    having count(*) > 0

)

select * from final
