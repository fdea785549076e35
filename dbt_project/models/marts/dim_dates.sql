{#- Whole financial years, from that of the first order, invoice, refund or deal to the running one; thirty years at most. -#}

with

first_days as (

    select min(ordered_on) as date from {{ ref('int_orders') }}
    union all
    select min(invoiced_on) from {{ ref('fct_invoices') }}
    union all
    select min(refunded_on) from {{ ref('fct_refunds') }}
    union all
    select min(closed_on) from {{ ref('fct_deals') }}

),

bounds as (

    select
        {{ financial_year_start("greatest(least(min(date), " ~ today() ~ "), " ~ today() ~ " - interval '30 years')") }} as first_day,
        ({{ financial_year_start(today()) }} + interval '1 year')::date - 1 as last_day
    from first_days

),

days as (

    select generate_series(first_day, last_day, interval '1 day')::date as date
    from bounds

),

final as (

    select
        date,
        date_trunc('week', date)::date as week_start,
        date_trunc('month', date)::date as month_start,
        date_trunc('quarter', date)::date as quarter_start,
        {{ financial_year_start('date') }} as financial_year_start,
        extract(year from {{ financial_year_start('date') }})::integer + 1 as financial_year,
        extract(isodow from date)::integer as day_of_week,
        extract(isodow from date) >= 6 as is_weekend,
        {{ day_start('date') }} as starts_at,
        {{ day_start('date + 1') }} as ends_at
    from days

)

select * from final
