"""What n8n holds: the businesses' processes as workflows, and how each of their executions goes.

Executions succeed, fail, hang, wait and crash; failed ones are often retried by a person; what has ended is pruned
after a fortnight, as n8n does, so none older than that is made. A workflow's `pauses` are the times ([from, to) in
milliseconds, to is None while it lasts) in which a person kept it from running: what would have run then isn't there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.records import FOREVER, Body, Version, iso, millis
from masterops_dagster.simulator.world.rhythm import Plan
from masterops_dagster.simulator.world.seeding import Dice, guid
from masterops_dagster.simulator.world.timeline import HOUR, MINUTE, SECOND, office, wall

ACCOUNT = "n8n"
KEPT_DAYS = 14
KEPT = KEPT_DAYS * 24 * HOUR

WRITTEN, RETRIED, TOLD = 15, 1, 14
"""An execution's id is sixteen times the second of its making since the first one's day, plus one of these; plus 0
for what a trigger started. So ids rise with time, whoever makes them."""

TAGS = ("teelixir", "elevate-wholesale", "buy-organics-online", "red-hill-fresh", "group", "report")

CREDENTIALS: Mapping[str, str] = {
    "HubSpot": "hubspotAppToken",
    "Shopify Teelixir": "shopifyAccessTokenApi",
    "Shopify Elevate": "shopifyAccessTokenApi",
    "Unleashed": "unleashedSoftwareApi",
    "WooCommerce Red Hill Fresh": "wooCommerceApi",
    "BigCommerce": "httpHeaderAuth",
    "Slack": "slackApi",
    "Mail": "smtp",
    "Warehouse": "postgres",
    "Old file server": "ftp",
}
"""Names and kinds; no workflow uses the last one."""


@dataclass(frozen=True, slots=True)
class Process:
    """One workflow: `steps` are (name, kind of node, credential or empty) behind its trigger.

    It runs every so many minutes, or once a day at an hour, on these weekdays (Monday is 0).
    """

    name: str
    tags: tuple[str, ...]
    steps: tuple[tuple[str, str, str], ...]
    every: int = 0
    hour: int = 0
    weekdays: tuple[int, ...] = tuple(range(7))
    seconds: tuple[int, int] = (2, 20)
    trigger: str = "scheduleTrigger"
    active: bool = True
    archived: bool = False
    waits_days: int = 0


PROCESSES = (
    Process(
        "Teelixir: order processing",
        ("teelixir",),
        (
            ("New Shopify orders", "shopify", "Shopify Teelixir"),
            ("Check address, stock, duplicate", "if", ""),
            ("Sales order in Unleashed", "unleashedSoftware", "Unleashed"),
            ("Exceptions to Slack", "slack", "Slack"),
        ),
        every=60,
        seconds=(4, 50),
    ),
    Process(
        "Teelixir: tracking back to Shopify",
        ("teelixir",),
        (
            ("Shipped orders", "unleashedSoftware", "Unleashed"),
            ("Fulfilment in Shopify", "shopify", "Shopify Teelixir"),
        ),
        every=120,
    ),
    Process(
        "Elevate Wholesale: inventory updates",
        ("elevate-wholesale",),
        (
            ("Stock on hand", "unleashedSoftware", "Unleashed"),
            ("Sellable quantity", "set", ""),
            ("Inventory in Shopify", "httpRequest", "Shopify Elevate"),
        ),
        every=120,
        seconds=(20, 240),
    ),
    Process(
        "Elevate Wholesale: trial accounts",
        ("elevate-wholesale",),
        (
            ("Trials that end", "hubspot", "HubSpot"),
            ("Wait for the last day", "wait", ""),
            ("Remind", "emailSend", "Mail"),
        ),
        hour=8,
        weekdays=(0, 1, 2, 3, 4),
        waits_days=3,
    ),
    Process(
        "Buy Organics Online: customer sync",
        ("buy-organics-online",),
        (
            ("Changed customers", "httpRequest", "BigCommerce"),
            ("Contact in HubSpot", "hubspot", "HubSpot"),
        ),
        every=180,
        seconds=(30, 400),
    ),
    Process(
        "Red Hill Fresh: daily report",
        ("red-hill-fresh", "report"),
        (
            ("Orders and boxes", "wooCommerce", "WooCommerce Red Hill Fresh"),
            ("By supplier and delivery day", "summarize", ""),
            ("Send", "emailSend", "Mail"),
        ),
        hour=5,
    ),
    Process(
        "Red Hill Fresh: weekly report",
        ("red-hill-fresh", "report"),
        (
            ("Orders and boxes", "wooCommerce", "WooCommerce Red Hill Fresh"),
            ("Waste", "summarize", ""),
            ("Send", "emailSend", "Mail"),
        ),
        hour=6,
        weekdays=(0,),
        seconds=(20, 90),
    ),
    Process(
        "Cross-business: consolidation",
        ("group", "report"),
        (("KPIs", "postgres", "Warehouse"), ("Post", "slack", "Slack")),
        hour=2,
        seconds=(60, 600),
    ),
    Process(
        "Low-stock notices",
        ("group",),
        (("Stock cover", "postgres", "Warehouse"), ("Tell the buyers", "slack", "Slack")),
        every=360,
    ),
    Process(
        "Errors: tell the team",
        ("group",),
        (("Post", "slack", "Slack"),),
        trigger="errorTrigger",
        seconds=(1, 2),
    ),
    Process(
        "Red Hill Fresh: waste by box (draft)",
        ("red-hill-fresh",),
        (("Boxes", "wooCommerce", "WooCommerce Red Hill Fresh"), ("Waste", "summarize", "")),
        hour=7,
        active=False,
    ),
    Process(
        "Teelixir: order export to CSV",
        ("teelixir",),
        (("Orders", "shopify", "Shopify Teelixir"), ("File", "convertToFile", "")),
        hour=23,
        active=False,
        archived=True,
    ),
)

TELLER = next(process for process in PROCESSES if process.trigger == "errorTrigger")


def base(plan: Plan) -> Iterator[Version]:
    """Tags, credentials and workflows, as they are when history begins."""
    first = wall(plan.first, 9)
    tags = {name: {"id": short_id(plan.seed, "tag", name), "name": name, **_dates(first)} for name in TAGS}
    credentials = {
        name: {"id": short_id(plan.seed, "credential", name), "name": name, "type": kind, **_dates(first)}
        for name, kind in CREDENTIALS.items()
    }
    yield from (_lasting("tags", place, body, first) for place, body in enumerate(tags.values()))
    yield from (_lasting("credentials", place, body, first) for place, body in enumerate(credentials.values()))
    for place, process in enumerate(PROCESSES):
        made = first + place * HOUR
        body = workflow_body(
            id=workflow_id(plan, process),
            name=process.name,
            at=made,
            version_id=guid(plan.seed, "version", process.name),
            nodes=_nodes(plan, process, credentials),
            active=process.active,
            tags=[tags[name] for name in process.tags],
        )
        yield _lasting("workflows", place, {**body, "isArchived": process.archived}, made)


def day(plan: Plan, day: date) -> Iterator[Version]:
    """The executions that begin on a day, with all that becomes of them."""
    if day < plan.start - timedelta(days=KEPT_DAYS):
        return
    taken: set[int] = set()
    for process in PROCESSES:
        if not process.active or process is TELLER:
            continue
        dice = Dice(plan.seed, "n8n", process.name, day)
        for start in _starts(process, day, dice):
            second = start // SECOND
            while second in taken:
                second += 1
            taken.add(second)
            yield from _run(plan, process, second * SECOND, dice)


def workflow_id(plan: Plan, process: Process) -> str:
    return short_id(plan.seed, "workflow", process.name)


def short_id(*parts: object) -> str:
    """Sixteen letters and digits for these parts, as n8n's ids are."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=16).digest()
    return "".join(letters[byte % len(letters)] for byte in digest)


def execution_id(plan: Plan, at: int, kind: int = 0) -> int:
    """The id of an execution that is made at a moment."""
    return (at - _first_moment(plan)) // SECOND * 16 + kind


def workflow_body(
    *,
    id: str,
    name: str,
    at: int,
    version_id: str,
    nodes: Sequence[Body],
    connections: Body | None = None,
    settings: Body | None = None,
    active: bool = False,
    tags: Sequence[Body] = (),
) -> Body:
    """A workflow as it is stored."""
    return {
        "id": id,
        "name": name,
        "description": None,
        "active": active,
        "activeVersionId": version_id if active else None,
        **_dates(at),
        "isArchived": False,
        "versionId": version_id,
        "versionCounter": 1,
        "sourceWorkflowId": None,
        "triggerCount": trigger_count(nodes) if active else 0,
        "nodes": list(nodes),
        "connections": _chain(nodes) if connections is None else connections,
        "nodeGroups": [],
        "settings": {"executionOrder": "v1", "timezone": MELBOURNE.key} if settings is None else settings,
        "staticData": None,
        "pinData": None,
        "meta": None,
        "tags": list(tags),
        "pauses": [],
    }


def trigger_count(nodes: Sequence[Body]) -> int:
    """How many of the nodes start executions by themselves."""
    return sum(1 for node in nodes if node.get("type", "").endswith(("Trigger", ".webhook")))


def execution_body(
    id: int,
    workflow: str,
    mode: str,
    status: str,
    *,
    started: int | None = None,
    stopped: int | None = None,
    wait_till: int | None = None,
    retry_of: int | None = None,
    retry_success: int | None = None,
) -> Body:
    """An execution as it is listed; moments in milliseconds."""
    return {
        "id": str(id),
        "finished": status == "success",
        "mode": mode,
        "retryOf": None if retry_of is None else str(retry_of),
        "retrySuccessId": None if retry_success is None else str(retry_success),
        "status": status,
        "startedAt": None if started is None else iso(started),
        "stoppedAt": None if stopped is None else iso(stopped),
        "workflowId": workflow,
        "waitTill": None if wait_till is None else iso(wait_till),
    }


def execution_versions(states: Sequence[tuple[int, Body]]) -> Iterator[Version]:
    """A state is the moment from which it holds, and the body. What has ended is there for another fortnight."""
    for place, (since, body) in enumerate(states):
        last = place + 1 == len(states)
        ended = body["status"] not in ("new", "running", "waiting")
        yield Version(
            account=ACCOUNT,
            resource="executions",
            id=body["id"],
            number=int(body["id"]),
            visible_from=since,
            visible_to=(since + KEPT if ended else FOREVER) if last else states[place + 1][0],
            created_at=states[0][0],
            business_at=0 if body["startedAt"] is None else millis(datetime.fromisoformat(body["startedAt"])),
            modified_at=since,
            body=body,
        )


# ---- how executions go


def _starts(process: Process, day: date, dice: Dice) -> Iterator[int]:
    """When its trigger starts it, within a few seconds."""
    if day.weekday() not in process.weekdays:
        return
    if process.every:
        begin, end = wall(day, 0), wall(day + timedelta(days=1), 0)
        step = process.every * MINUTE
        yield from (at + dice.whole(0, 5) * SECOND for at in range(begin, end, step))
    else:
        yield wall(day, process.hour, 15, dice.whole(0, 5))


def _run(plan: Plan, process: Process, start: int, dice: Dice) -> Iterator[Version]:
    """One execution, its retry, and the message about its failure."""
    id, workflow, mode = execution_id(plan, start), workflow_id(plan, process), "trigger"
    fate = dice.random()
    took = dice.whole(*process.seconds) * SECOND + dice.whole(0, 999)

    def body(status: str, **more: int) -> Body:
        return execution_body(id, workflow, mode, status, **{"started": start, **more})

    running = (start, body("running"))
    if process.waits_days:
        till = start + process.waits_days * 24 * HOUR
        yield from execution_versions(
            [
                running,
                (start + took, body("waiting", stopped=start + took, wait_till=till)),
                (till, body("running")),
                (till + took, body("success", stopped=till + took)),
            ]
        )
    elif fate < 0.90:
        yield from execution_versions([running, (start + took, body("success", stopped=start + took))])
    elif fate < 0.92:  # more ran at once than the limit allows: it stood in line
        begun = start + dice.whole(20, 240) * SECOND
        yield from execution_versions(
            [
                (start, execution_body(id, workflow, mode, "new")),
                (begun, body("running", started=begun)),
                (begun + took, body("success", started=begun, stopped=begun + took)),
            ]
        )
    elif fate < 0.95:  # slow, not stuck
        end = start + dice.whole(12, 95) * MINUTE
        yield from execution_versions([running, (end, body("success", stopped=end))])
    elif fate < 0.96:  # hangs until the server is restarted, or a person sees it
        status = dice.one(("crashed", "canceled"))
        end = start + dice.whole(20, 60) * HOUR
        yield from execution_versions([running, (end, body(status, stopped=end))])
    elif fate < 0.965:
        yield from execution_versions([running, (start + took, body("crashed", stopped=start + took))])
    else:
        end = start + took
        states = [running, (end, body("error", stopped=end))]
        if dice.hits(0.7):
            again = office(end, dice.whole(0, 1), dice)
            again += 24 * HOUR if again <= end else 0
            done = again + took
            retry = execution_id(plan, again, RETRIED + id // 16 % 13)
            states.append((done, body("error", stopped=end, retry_success=retry)))
            retried = {"started": again, "retry_of": id}
            yield from execution_versions(
                [
                    (again, execution_body(retry, workflow, "retry", "running", **retried)),
                    (done, execution_body(retry, workflow, "retry", "success", **retried, stopped=done)),
                ]
            )
        yield from execution_versions(states)
        yield from _told(plan, end)


def _told(plan: Plan, failed_at: int) -> Iterator[Version]:
    """The workflow that tells the team runs after every failure."""
    start, end = failed_at + 200, failed_at + 1_400
    id, workflow = execution_id(plan, start, TOLD), workflow_id(plan, TELLER)
    yield from execution_versions(
        [
            (start, execution_body(id, workflow, "error", "running", started=start)),
            (end, execution_body(id, workflow, "error", "success", started=start, stopped=end)),
        ]
    )


# ---- bodies


def _first_moment(plan: Plan) -> int:
    day = plan.start - timedelta(days=KEPT_DAYS + 1)
    return millis(datetime.combine(day, time(), MELBOURNE))


def _dates(at: int) -> Body:
    return {"createdAt": iso(at), "updatedAt": iso(at)}


def _lasting(resource: str, place: int, body: Body, at: int) -> Version:
    return Version(
        account=ACCOUNT,
        resource=resource,
        id=body["id"],
        number=place + 1,
        visible_from=at,
        created_at=at,
        business_at=at,
        modified_at=at,
        body=body,
    )


def _nodes(plan: Plan, process: Process, credentials: Mapping[str, Body]) -> list[Body]:
    rule: Body = {}
    if process.trigger == "scheduleTrigger":
        every = {"field": "minutes", "minutesInterval": process.every}
        rule = {"rule": {"interval": [every if process.every else {"triggerAtHour": process.hour}]}}
    nodes = [_node(plan, process, "Start", process.trigger, 0, rule)]
    for place, (name, kind, credential) in enumerate(process.steps, start=1):
        node = _node(plan, process, name, kind, place, {})
        if credential:
            used = credentials[credential]
            node["credentials"] = {used["type"]: {"id": used["id"], "name": used["name"]}}
        nodes.append(node)
    return nodes


def _node(plan: Plan, process: Process, name: str, kind: str, place: int, parameters: Body) -> Body:
    return {
        "id": guid(plan.seed, process.name, name),
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": 1,
        "position": [place * 220, 0],
        "parameters": parameters,
    }


def _chain(nodes: Sequence[Body]) -> Body:
    """Each node leads to the next."""
    return {
        node["name"]: {"main": [[{"node": following["name"], "type": "main", "index": 0}]]}
        for node, following in pairwise(nodes)
    }
