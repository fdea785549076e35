with

deals as (

    select * from {{ ref('stg_hubspot__deals') }}

),

businesses as (

    select * from {{ ref('dim_businesses') }}

),

stages as (

    select
        pipelines.hubspot_id as pipeline_hubspot_id,
        pipelines.pipeline_name,
        stage.value ->> 'id' as stage_hubspot_id,
        stage.value ->> 'label' as stage_name
    from {{ ref('stg_hubspot__deal_pipelines') }} as pipelines
    cross join lateral json_array_elements(pipelines.stages::json) as stage

),

final as (

    select
        ---- ids
        {{ key(['deals.account', 'deals.hubspot_id']) }} as deal_id,
        deals.hubspot_id,
        businesses.business_key,
        deals.unleashed_order_number,

        ---- state
        deals.deal_name,
        deals.deal_source,
        stages.pipeline_name,
        stages.stage_name,
        deals.is_closed,
        deals.is_won,

        ---- days
        {{ business_day('deals.created_at') }} as created_on,
        {{ business_day('deals.closed_at') }} as closed_on,

        ---- money
        deals.amount,
        deals.currency
    from deals
    left join businesses on deals.source_business = businesses.business_key
    left join stages
        on deals.pipeline_hubspot_id = stages.pipeline_hubspot_id
        and deals.stage_hubspot_id = stages.stage_hubspot_id

)

select * from final
