{#- Business time, and the days that it is cut into. Unit tests replace `now()`. -#}

{#- A query of its own, so that it is asked once and not for every row. -#}
{% macro now() -%}
    (select ops.now())
{%- endmacro %}


{#- The day of a moment where the businesses are. -#}
{% macro business_day(expression) -%}
    ({{ expression }} at time zone '{{ var('timezone') }}')::date
{%- endmacro %}


{% macro today() -%}
    {{ business_day(now()) }}
{%- endmacro %}


{#- The moment at which a business day begins; a day is 23 or 25 hours long where daylight saving changes. -#}
{% macro day_start(expression) -%}
    (({{ expression }})::timestamp at time zone '{{ var('timezone') }}')
{%- endmacro %}


{#- Days by the wall clock of the businesses, fractional: an hour gained or lost at night is nobody's delay. -#}
{% macro wall_clock_days(since, until) -%}
    (
        extract(
            epoch from ({{ until }} at time zone '{{ var('timezone') }}') - ({{ since }} at time zone '{{ var('timezone') }}')
        ) / 86400
    )
{%- endmacro %}


{#- The first day of the financial year, 1 July. -#}
{% macro financial_year_start(expression) -%}
    (date_trunc('year', ({{ expression }})::timestamp - interval '6 months') + interval '6 months')::date
{%- endmacro %}
