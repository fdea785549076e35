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

by_grain as (

    {% for grain, start in [
        ('day', 'dates.date'), ('week', 'dates.week_start'), ('month', 'dates.month_start'),
        ('fy', 'dates.financial_year_start'), ('all', "'-infinity'::date"),
    ] -%}
    select
        buying_days.business_key,
        '{{ grain }}'::text as grain,
        buying_days.ordered_on as date,
        count(*) filter (
            where buying_days.previous_on is null or buying_days.previous_on < {{ start }}
        ) as customers,
        count(*) filter (where buying_days.previous_on is null) as new_customers,
        count(*) filter (
            where
                buying_days.has_earlier_order
                and (buying_days.previous_repeat_on is null or buying_days.previous_repeat_on < {{ start }})
        ) as repeat_customers
    from buying_days
    inner join dates on buying_days.ordered_on = dates.date
    group by 1, 2, 3
    {%- if not loop.last %}

    union all

    {% endif %}
    {%- endfor %}

)

select * from by_grain
