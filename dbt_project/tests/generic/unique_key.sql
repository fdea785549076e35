{#- No two rows share the columns' values, and none of them is null. -#}
{% test unique_key(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {% for column in columns %}bool_or({{ column }} is null){{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
