{{ config(unique_key='customer_id') }}

{#- The one pass over all orders that tells which buyers bought something else than before: those have a new `made_at`. -#}

with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_sale and customer_id is not null

),

final as (

    select
        ---- ids
        customer_id,

        ---- what they bought
        array_remove(
            array[
                {%- for key in businesses() | map(attribute='key') | sort %}
                case when bool_or(business_key = '{{ key }}') then '{{ key }}'::text end
                {{- ',' if not loop.last }}
                {%- endfor %}
            ],
            null
        ) as businesses,
        count(*) as orders,
        sum(revenue) as revenue,
        coalesce(sum(revenue) filter (where ordered_on > {{ today() }} - interval '1 year'), 0) as revenue_12_months,

        ---- days
        min(ordered_on) as first_order_on,
        max(ordered_on) as last_order_on,
        sum(hash_record_extended(row(business_key, is_intercompany, ordered_on), 0)) as days_hash,

        ---- loading
        transaction_timestamp() as made_at
    from orders
    group by 1

)

select * from final
