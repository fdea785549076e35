with

receivables as (

    select * from {{ ref('fct_receivables_daily') }}

),

events as (

    select
        business_key,
        is_intercompany,
        date,
        receivable as numerator,
        null::numeric as denominator
    from receivables

)

{{ kpi_events('debtors') }}
