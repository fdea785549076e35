{#- What is summed adds up over businesses; distinct counts and ratios don't, and are left out. -#}

with

sums as (

    select
        kpi,
        grain,
        case when grain != 'all' then period_start end as period_start,
        sum(value) filter (where business_key = 'group') as of_group,
        sum(value) filter (where business_key != 'group') as of_businesses
    from {{ ref('kpis') }}
    where kpi in ('revenue', 'orders', 'units', 'refunds')
    group by 1, 2, 3

)

select * from sums
where of_group is distinct from of_businesses
