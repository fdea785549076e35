{#- All that the figures of a day rest on, in one number, and since when it is so: `kpis` follows. -#}

{{ config(alias='days') }}

with

days as (

    select distinct date from {{ ref('kpi_period_days') }}

),

dates as (

    select * from {{ ref('dim_dates') }}
    where date <= {{ today() }}

),

events as (

    select
        date,
        sum(hashtextextended(events::text, 0)) as hash,
        count(*) as events
    from {{ ref('kpi_events') }} as events
    group by 1

),

---- where a day without events is 0, and not absent

selling as (

    select
        dates.date,
        array_agg(first_days.business_key order by first_days.business_key) as businesses
    from dates
    inner join {{ ref('kpi_first_days') }} as first_days on dates.date >= first_days.first_day
    group by 1

),

final as (

    select
        days.date,
        coalesce(events.events, 0) as events,
        events.hash,
        selling.businesses as selling,
        transaction_timestamp() as made_at
    from days
    left join events on days.date = events.date
    left join selling on days.date = selling.date

)

select * from final
