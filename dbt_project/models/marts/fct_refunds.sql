with

refunds as (

    select * from {{ ref('int_refunds') }}

),

final as (

    select
        {{ key(['account', 'external_id']) }} as refund_id,
        order_id,
        business_key,
        system,
        account,
        external_id,
        is_counted,
        is_intercompany,
        refunded_at,
        {{ business_day('refunded_at') }} as refunded_on,
        amount
    from refunds

)

select * from final
