-- what is over, the last first
select
    incident_id, opened_at, began_at, cause, rule_id, title, severity, system, account, business_key, owner, state,
    impact, acknowledged_at, acknowledged_by, resolved_at, escalation_step, escalate_at, detail
from ops.incidents
where state = 'resolved'
and opened_at > %(at)s - interval '30 days'
order by resolved_at desc
limit 8
