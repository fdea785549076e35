"""From a check that is down to a message in Slack, its escalation by mail, and word that it is over."""

from __future__ import annotations

from datetime import timedelta

from masterops_dagster.observability.alerts import evaluate, load_rules
from masterops_dagster.observability.notify.deliver import deliver
from masterops_dagster.observability.notify.plan import escalate
from masterops_dagster.simulator.world.inbox import Inbox
from tests.notifying import NOON, Connection
from tests.stand_ins import StandIns

DOWN = """
insert into ops.health_states (check_id, system, account, status, since, failures, first_failure_at, last_checked_at,
    next_check_at, message)
values ('integration_hubspot', 'hubspot', 'hubspot', 'down', %(at)s, 2, %(at)s, %(at)s, %(at)s, 'no answer')
"""


def test_a_system_that_is_down_is_told_escalated_and_over(database: Connection, connected: StandIns) -> None:
    inbox = Inbox(connected.world_dir)
    inbox.clear()
    rules = [rule for rule in load_rules() if rule.id == "integration_down"]
    database.execute(DOWN, {"at": NOON})
    at = NOON
    for _ in range(70):  # a quarter of an hour and a bit
        evaluate(database, rules, at, business_at=at)
        escalate(database, at)
        deliver(at, sender="a")
        at += timedelta(seconds=15)
    database.execute("update ops.health_states set status = 'up', since = %s", [at])
    for _ in range(8):
        evaluate(database, rules, at, business_at=at)
        deliver(at, sender="a")
        at += timedelta(seconds=15)
    first, step, *over = inbox.messages()
    assert (first.channel, step.channel) == ("slack", "email")
    assert first.body.startswith("[critical] hubspot does not answer")
    assert step.subject == "[not acknowledged: critical] hubspot does not answer"
    assert sorted(message.channel for message in over) == ["email", "slack"]
    assert all("[over] hubspot does not answer" in message.subject + message.body for message in over)
