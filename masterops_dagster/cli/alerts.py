"""`masterops alerts …`: what is wrong now, who takes it on, the rules, and whether messages arrive."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from masterops_dagster.observability.alerts import Backtest, Rule
    from masterops_dagster.observability.incidents import Incident

app = typer.Typer(
    name="alerts",
    help="Incidents, silences, the rules, and whether messages arrive.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

rules = typer.Typer(name="rules", help="What is watched, and when it is told.", no_args_is_help=True)
app.add_typer(rules)

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]
COLOURS = {"critical": "red", "warning": "yellow", "info": "cyan"}


@app.command("list")
def list_incidents(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over, of the last 30 days.")] = False,
    muted: Annotated[
        bool, typer.Option("--muted", help="Also alerts that something else explains or silences.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What is wrong now, the worst first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from masterops_dagster.cli.status import ago
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import alerts, incidents
    from masterops_dagster.observability.links import incident_url

    now = datetime.now(UTC)
    with connect() as connection:
        found = incidents.since(connection, now - timedelta(days=30)) if every else incidents.unresolved(connection)
        quiet = alerts.muted(connection) if muted else []
        silences = alerts.in_force(connection, now)
    if as_json:
        from masterops_dagster.sources.arrow import dump_json

        told = [_fields(incident) | {"url": incident_url(incident.incident_id)} for incident in found]
        typer.echo(dump_json({"incidents": told, "muted": [_plain(alert) for alert in quiet]} if muted else told))
        return
    console = Console()
    if found:
        table = Table("id", "severity", "what", "since", "state", "owner")
        for incident in found:
            colour = "dim" if incident.state == "resolved" else COLOURS[incident.severity]
            by = f" by {incident.acknowledged_by}" if incident.state == "acknowledged" else ""
            said = str(incident.detail.get("message") or "")
            table.add_row(
                str(incident.incident_id)[:8],
                f"[{colour}]{incident.severity}[/]",
                escape(incident.title) + (f"\n[dim]{escape(said)}[/]" if said else ""),
                f"{ago((now - incident.began_at).total_seconds())} ago",
                f"{incident.state}{by}",
                incident.owner or "",
            )
        console.print(table)
        console.print("`masterops alerts ack ID` takes one on; docs/runbooks says what to do", style="dim")
    else:
        console.print("nothing is wrong" if not every else "no incidents in 30 days")
    for alert in quiet:
        console.print(f"[dim]muted by {escape(alert.suppressed_by or '')}:[/] {escape(alert.message)}")
    for one in silences:
        what = ", ".join(f"{name} {value}" for name, value in one.matches.items()) or "everything"
        until = f"{one.ends_at.astimezone():%Y-%m-%d %H:%M %Z}"
        console.print(f"[dim]{one.kind} {one.silence_id} of {escape(what)} until {until}: {escape(one.reason)}[/]")


@app.command("ack")
def acknowledge_incident(
    incident_id: Annotated[str, typer.Argument(metavar="INCIDENT", help="Its id, or the first eight characters.")],
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who; else who you are here.")] = None,
) -> None:
    """Take an incident on: nobody else is told, unless it gets worse."""
    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import alerts

    with connect() as connection:
        try:
            wanted = alerts.named(connection, incident_id)
            taken = alerts.acknowledge(connection, wanted, by or getpass.getuser(), datetime.now(UTC))
        except alerts.NoSuchIncident as error:
            raise BadInput(f"{error}; `masterops alerts list` shows them") from error
    state = "is over" if taken.state == "resolved" else f"is {taken.acknowledged_by}'s"
    typer.echo(f"{str(taken.incident_id)[:8]} {taken.title}: {state}")


@app.command("silence")
def silence_alerts(
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why; people see it.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=40320, help="How long.")] = 60,
    rule: Annotated[str | None, typer.Option("--rule", metavar="R", help="Only this rule.")] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="S", help="Only this system.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="A", help="Only this account.")] = None,
    business: Annotated[str | None, typer.Option("--business", metavar="B", help="Only this business.")] = None,
    check: Annotated[str | None, typer.Option("--check", metavar="C", help="Only this check, stream or job.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All there is.")] = False,
    maintenance: Annotated[bool, typer.Option("--maintenance", help="Uptime doesn't count either.")] = False,
) -> None:
    """Tell nobody for a while; what still holds afterwards is told then."""
    from masterops_dagster.cli import choices
    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import alerts

    given = {"rule": rule, "system": system, "account": account, "business": business, "check": check}
    matches = {name: value for name, value in given.items() if value is not None}
    if bool(matches) == everything:
        raise BadInput("name what to silence, or --everything: --rule, --system, --account, --business, --check")
    if rule is not None and rule not in (known := [one.id for one in _rules()]):
        raise choices.unknown("rule", rule, known)
    if account is not None:
        choices.account_of(account)
    if business is not None:
        choices.business_of(business)
    now = datetime.now(UTC)
    until = now + timedelta(minutes=minutes)
    kind: Any = "maintenance" if maintenance else "silence"
    with connect() as connection:
        number = alerts.silence(connection, matches, until, getpass.getuser(), reason, kind, at=now)
    typer.echo(f"{kind} {number} until {until.astimezone():%Y-%m-%d %H:%M %Z}")


@app.command("unsilence")
def end_silence(number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `list` shows it.")]) -> None:
    """End a silence or a maintenance window now."""
    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import alerts

    with connect() as connection:
        if not alerts.end_silence(connection, number, datetime.now(UTC)):
            raise BadInput(f"no silence {number} is in force; `masterops alerts list` shows them")
    typer.echo(f"silence {number} is over")


@rules.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """All rules: what they look at, and when they tell."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    found = sorted(_rules(), key=lambda rule: rule.id)
    if as_json:
        from masterops_dagster.sources.arrow import dump_json

        typer.echo(
            dump_json([rule.model_dump(mode="json", by_alias=True) | {"runbook": rule.runbook} for rule in found])
        )
        return
    table = Table("rule", "severity", "tells when", "for", "owner")
    for rule in found:
        wait = f"{rule.wait.total_seconds():.0f} s" if rule.wait else ""
        table.add_row(
            rule.id,
            f"[{COLOURS[rule.severity]}]{rule.severity}[/]",
            escape(f"{rule.signal} {_said(rule)}"),
            wait,
            rule.owner,
        )
    Console().print(table)


@rules.command("check")
def check_rules() -> None:
    """Read the rules and ask each signal once; exit code 1 if something is wrong with them."""
    from masterops_dagster import clock
    from masterops_dagster.cli.problems import Problem
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import alerts
    from masterops_dagster.settings import PROJECT_ROOT

    found = _rules()
    wrong = [f"rule {one.id}: {one.runbook} is missing" for one in found if not (PROJECT_ROOT / one.runbook).exists()]
    now = datetime.now(UTC)
    with connect() as connection:
        wrong += alerts.unreadable(connection, found, now, business_at=now + clock.offset())
    if wrong:
        raise Problem("; ".join(wrong))
    typer.echo(f"{len(found)} rules, all can be evaluated")


@rules.command("backtest")
def backtest_rule(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="As `rules list` shows it.")],
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="So many days back.")] = 30,
    step: Annotated[int, typer.Option("--step", min=1, metavar="MINUTES", help="Look so often.")] = 15,
    as_json: AsJson = False,
) -> None:
    """How often a rule would have fired in the past; nothing is told or written."""
    from masterops_dagster import clock
    from masterops_dagster.cli import choices
    from masterops_dagster.cli.problems import BadInput
    from masterops_dagster.database.connection import connect
    from masterops_dagster.observability import alerts

    known = _rules()
    rule = alerts.rule_of(known, rule_id)
    if rule is None:
        raise choices.unknown("rule", rule_id, sorted(one.id for one in known))
    with connect() as connection:
        try:
            done = alerts.backtest(
                connection, rule, datetime.now(UTC), days, timedelta(minutes=step), business_offset=clock.offset()
            )
        except alerts.NoPast as error:
            raise BadInput(str(error)) from error
    _show_backtest(done, as_json=as_json)


@app.command("test")
def send_test(
    contact: Annotated[
        str | None, typer.Option("--contact", metavar="C", help="As in contacts.yaml; else who is told by default.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="slack, email or webhook; else each.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a test message and say what became of it; exit code 1 if it did not arrive."""
    import os
    import socket
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Column, Table

    from masterops_dagster.cli.problems import BadInput, Problem
    from masterops_dagster.observability.notify.contacts import CHANNEL_KINDS, ContactsInvalid
    from masterops_dagster.observability.notify.trial import reached, try_contacts
    from masterops_dagster.sources.arrow import dump_json

    if channel is not None and channel not in CHANNEL_KINDS:
        raise BadInput(f"--channel is {', '.join(CHANNEL_KINDS)}, not {channel!r}")
    kind: Any = channel
    sender = f"{getpass.getuser()} {socket.gethostname()}:{os.getpid()}"
    try:
        tried = try_contacts(datetime.now(UTC), sender=sender, contact=contact, channel=kind)
    except LookupError as error:
        raise BadInput(str(error)) from error
    except ContactsInvalid as error:
        raise Problem(str(error)) from error
    if as_json:
        typer.echo(dump_json([asdict(one) for one in tried]))
    else:
        table = Table("contact", "channel", "to", "outcome", Column("said", overflow="fold"))
        for one in tried:
            table.add_row(one.contact, one.channel, one.to, one.outcome, one.said)
        Console().print(table)
    if not reached(tried, asked_for=channel is not None):
        raise typer.Exit(1)


def _rules() -> Sequence[Rule]:
    from masterops_dagster.cli.problems import Problem
    from masterops_dagster.observability.alerts import RulesInvalid, load_rules

    try:
        return load_rules()
    except RulesInvalid as error:
        raise Problem("; ".join(str(error).splitlines())) from error


def _said(rule: Rule) -> str:
    """The condition as a person reads it."""
    from masterops_dagster.observability.alerts import written

    condition = rule.condition
    if condition.unusual is not None:
        return f"unusually {condition.unusual.side} for the hour of the week"
    if condition.above is not None:
        return f"> {written(condition.above, rule.unit)}"
    return f"< {written(condition.below or 0, rule.unit)}"


def _show_backtest(done: Backtest, *, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from masterops_dagster.sources.arrow import dump_json

    if as_json:
        typer.echo(dump_json(_plain(done)))
        return
    if done.firings:
        table = Table("subject", "severity", "fired", "lasted", "what")
        for firing in done.firings:
            lasted = str(firing.resolved_at - firing.fired_at) if firing.resolved_at else "still"
            fired = f"{firing.fired_at.astimezone():%Y-%m-%d %H:%M}"
            table.add_row(firing.subject, firing.severity, fired, lasted, firing.message)
        Console().print(table)
    days = (done.end - done.start).days
    typer.echo(
        f"{done.rule_id} would have fired {len(done.firings)} times in {days} days, "
        f"and {done.pending} times it would have waited and said nothing ({done.looks} looks)"
    )


def _fields(incident: Incident) -> dict[str, object]:
    return dict(_plain(incident))


def _plain(record: Any) -> dict[str, object]:
    """As JSON can hold it."""
    from dataclasses import asdict

    return {name: str(value) if name in ("incident_id", "step") else value for name, value in asdict(record).items()}
