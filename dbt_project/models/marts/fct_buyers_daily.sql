{#-
    A customer counts in a period on the first day there, that is, when the buying day before lies before the period.
    So the days of a grain can be added up, though the customers of different grains can't.
-#}

with

buying_days as (

    select * from {{ ref('fct_buying_days') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

counted as (

    select
        buying_days.business_key,
        buying_days.ordered_on as date,
        count(*) as customers_of_day,
        count(*) filter (where buying_days.has_earlier_order) as repeat_customers_of_day
        {%- for grain, start in [
            ('week', 'dates.week_start'),
            ('month', 'dates.month_start'),
            ('fy', 'dates.financial_year_start'),
            ('all', "'-infinity'"),
        ] %},
        count(*) filter (
            where coalesce(buying_days.previous_on < {{ start }}, true)
        ) as customers_of_{{ grain }},
        count(*) filter (
            where buying_days.has_earlier_order and coalesce(buying_days.previous_repeat_on < {{ start }}, true)
        ) as repeat_customers_of_{{ grain }}
        {%- endfor %}
    from buying_days
    inner join dates on buying_days.ordered_on = dates.date
    group by 1, 2

),

by_grain as (

    select
        counted.business_key,
        grains.grain,
        counted.date,
        grains.customers,
        counted.customers_of_all as new_customers,
        grains.repeat_customers
    from counted
    cross join lateral (
        values
        {%- for grain in ['day', 'week', 'month', 'fy', 'all'] %}
        ('{{ grain }}'::text, counted.customers_of_{{ grain }}, counted.repeat_customers_of_{{ grain }})
        {{- ',' if not loop.last }}
        {%- endfor %}
    ) as grains (grain, customers, repeat_customers)

)

select * from by_grain
