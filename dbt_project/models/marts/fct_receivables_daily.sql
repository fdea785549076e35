{#-
    From the first wholesale order on, invoiced or not: where nothing is billed nothing is owed, and the sales of a
    business without invoices belong to the group's days sales outstanding all the same.
-#}

with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale and is_wholesale

),

invoices as (

    select * from {{ ref('fct_invoices') }}
    where is_receivable and due_on >= invoiced_on

),

changes as (

    select business_key, is_intercompany, invoiced_on as date, total as amount, 1 as invoices from invoices
    union all
    select business_key, is_intercompany, due_on + 1, -total, -1 from invoices

),

spans as (

    select
        business_key,
        is_intercompany,
        min(first_day) as first_day
    from (
        select business_key, is_intercompany, min(invoiced_on) as first_day from invoices group by 1, 2
        union all
        select business_key, is_intercompany, min(ordered_on) from orders group by 1, 2
    ) as first_days
    group by 1, 2

),

days as (

    select
        spans.business_key,
        spans.is_intercompany,
        dates.date
    from spans
    inner join {{ ref('dim_dates') }} as dates
        on dates.date >= spans.first_day
        and dates.date <= {{ today() }}

),

changes_by_day as (

    select
        business_key,
        is_intercompany,
        date,
        sum(amount) as amount,
        sum(invoices) as invoices
    from changes
    group by 1, 2, 3

),

final as (

    select
        days.business_key,
        days.is_intercompany,
        days.date,
        (sum(coalesce(changes_by_day.amount, 0)) over so_far)::numeric(14, 2) as receivable,
        (sum(coalesce(changes_by_day.invoices, 0)) over so_far)::bigint as open_invoices
    from days
    left join changes_by_day
        on days.business_key = changes_by_day.business_key
        and days.is_intercompany = changes_by_day.is_intercompany
        and days.date = changes_by_day.date
    window so_far as (partition by days.business_key, days.is_intercompany order by days.date)

)

select * from final
