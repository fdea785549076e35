"""`masterops world …`: the stand-in world, moved on, disturbed, made anew, filled from a file, or asked for the truth.

Only in `local`. What these commands change, the running stand-ins show at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, MELBOURNE, Account
from masterops_dagster.cli import choices
from masterops_dagster.cli.problems import BadInput, Problem

if TYPE_CHECKING:
    from masterops_dagster.simulator.world.faults import Fault
    from masterops_dagster.simulator.world.inbox import Message
    from masterops_dagster.simulator.world.store import World

app = typer.Typer(
    name="world",
    help="The stand-in world: simulated businesses behind simulated systems.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

ORDERS = {"unleashed": "SalesOrders", "bigcommerce": "orders", "woocommerce": "orders"}
"""The resource that holds a business's orders; Unleashed has copies of those of the Shopify stores."""


@app.command("new-day")
def new_day(days: Annotated[int, typer.Argument(metavar="[N]", min=1, max=3660, help="How many days.")] = 1) -> None:
    """Move business time on by N days and say what came in."""
    from masterops_dagster.simulator.world import clock

    world = _world()
    before = world.now()
    moved = clock.advance(world.directory, days)
    world.catch_up()
    after = world.now()
    told = _tell_database(moved)
    typer.echo(f"simulated business time is now {after.astimezone(MELBOURNE):%A %d %B %Y, %H:%M} in Melbourne")
    for name, count in _new_orders(world, before, after):
        typer.echo(f"  {name}: {count} new simulated orders")
    if not told:
        typer.echo("  the database doesn't answer; it learns the new time when `make up` starts it")
    typer.echo("the KPIs have them after the next hourly run, or now with `masterops refresh`")


@app.command()
def misbehave(
    system: Annotated[
        str, typer.Argument(help="hubspot, unleashed, …, slack, email, or one account such as unleashed_teelixir.")
    ],
    kind: Annotated[str, typer.Option("--kind", help="How it misbehaves.")],
    rate: Annotated[float, typer.Option("--rate", help="Share of requests that it strikes, above 0 up to 1.")] = 0.2,
    seed: Annotated[int, typer.Option("--seed", help="The same seed strikes the same requests.")] = 0,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="How long (latency), how far (clock_skew).")
    ] = None,
    times: Annotated[int, typer.Option("--times", help="Over after so many struck requests; 0: never.")] = 0,
    after: Annotated[int, typer.Option("--after", help="Begins after so many requests.")] = 0,
) -> None:
    """Let a simulated system answer badly, until it is calmed.

    Kinds: rate_limit, server_error, latency, reset, malformed, html, php_warning, clock_skew, revoked,
    partial_batch, throttled.
    """
    from masterops_dagster.simulator.world import faults

    wait = faults.DEFAULT_SECONDS.get(kind, 0.0) if seconds is None else seconds
    try:
        fault = faults.Fault(system, kind, rate=rate, seed=seed, seconds=wait, times=times, after=after)
    except ValueError as error:
        raise BadInput(str(error)) from error
    _say_faults(faults.misbehave(_world().directory, fault))


@app.command()
def calm(system: Annotated[str | None, typer.Argument(help="Only this system; all without it.")] = None) -> None:
    """End the misbehaviour."""
    from masterops_dagster.simulator.world import faults

    try:
        left = faults.calm(_world().directory, system)
    except ValueError as error:
        raise BadInput(str(error)) from error
    _say_faults(left)


@app.command()
def reset(
    scale: Annotated[float | None, typer.Option("--scale", min=0.01, help="Size; 1 is the usual.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed is another world.")] = None,
) -> None:
    """Make the world anew; what is not given stays as it was. Business time goes on."""
    from masterops_dagster.settings import settings
    from masterops_dagster.simulator.world.store import World

    _local_only()
    directory = settings().state_dir / "world"
    if World.exists(directory):
        world = World(directory)
        plan = world.state().plan
        world.reset(seed if seed is not None else plan.seed, scale if scale is not None else plan.scale)
    else:
        world = World.open(directory, seed=1 if seed is None else seed, scale=1.0 if scale is None else scale)
    plan = world.state().plan
    _expect_deletions(ACCOUNTS)
    forgotten = _forget_cursors()
    typer.echo(f"simulated world made: seed {plan.seed}, scale {plan.scale:g}, history from {plan.first}")
    if forgotten:
        typer.echo("the next load reads everything anew: `masterops refresh`")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, one line per order line.")],
    business: Annotated[str, typer.Option("--business", metavar="B", help="Whose shop history it replaces.")],
) -> None:
    """Put an order history of your own in place of a business's simulated one.

    Columns: order_number, ordered_at, shipped_at, customer_email, customer_name, sku, product_name, category, quantity,
    line_total (ex tax), line_cost, tax_rate (a fraction), status (completed, processing, cancelled, refunded).
    """
    from masterops_dagster.simulator.world.importer import ImportRefused, import_history

    world = _world()
    choices.business_of(business)
    try:
        done = import_history(world, file, business)
    except ImportRefused as error:
        raise BadInput(str(error)) from error
    _expect_deletions([account for account in ACCOUNTS if account.business_key == business])
    typer.echo(
        f"{done.orders:,} orders with {done.lines:,} lines of {done.customers:,} customers, {done.products:,} products:"
        f" they stand in place of {business}'s simulated shop; `masterops refresh` brings them into the KPIs"
    )


@app.command()
def truth(
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="TS", help="As it could be seen then; without a zone, Melbourne's."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every day's figures as JSON.")] = False,
) -> None:
    """The true figures of the simulated businesses, computed apart from the pipeline."""
    import msgspec

    from masterops_dagster.simulator.world.truth import truth as true_figures

    world = _world()
    at = _moment(as_of, world.now())
    rows = true_figures(world, at)
    if as_json:
        typer.echo(msgspec.json.Encoder(decimal_format="number").encode(rows).decode())
        return
    last = max(row.date for row in rows)
    typer.echo(f"simulated figures of {last}, as of {at.astimezone(MELBOURNE):%Y-%m-%d %H:%M} in Melbourne")
    for row in rows:
        if row.date == last:
            typer.echo(f"  {row.business_key:<20} {row.system:<12} {row.metric:<24} {row.value:>18,}")


@app.command()
def inbox(
    as_json: Annotated[bool, typer.Option("--json", help="All that was sent, as JSON.")] = False,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="slack|email", help="Only what came there.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Forget it afterwards.")] = False,
) -> None:
    """Show what arrived at the simulated Slack and the simulated mail server."""
    import msgspec

    from masterops_dagster.simulator.world.inbox import CHANNELS, Inbox

    if channel is not None and channel not in CHANNELS:
        raise BadInput(f"unknown channel {channel!r}; known: {', '.join(CHANNELS)}")
    kept = Inbox(_world().directory)
    messages = kept.messages(channel)
    if as_json:
        typer.echo(msgspec.json.encode(messages).decode())
    elif not messages:
        typer.echo("nothing has arrived")
    else:
        typer.echo("\n\n".join(map(_as_read, messages)))
    if clear and (cleared := kept.clear(channel)) and not as_json:
        typer.echo(f"{cleared} simulated messages forgotten")


def _as_read(message: Message) -> str:
    """A message as a person reads it."""
    at = datetime.fromisoformat(message.received_at).astimezone(MELBOURNE)
    head = f"{at:%Y-%m-%d %H:%M:%S}  {message.channel}  {message.sender} -> {', '.join(message.recipients)}"
    lines = [head, *([message.subject] if message.subject else []), *message.body.splitlines()]
    return "\n    ".join(lines)


def _local_only() -> None:
    from masterops_dagster.settings import settings

    if settings().env != "local":
        raise Problem(f"the stand-in world exists in `local` only; this is {settings().env}")


def _world() -> World:
    """The world of this state folder. Raises `Problem` where there is none yet."""
    from masterops_dagster.settings import settings
    from masterops_dagster.simulator.world.store import World

    _local_only()
    directory = settings().state_dir / "world"
    if not World.exists(directory):
        raise Problem("there is no stand-in world yet: `make up` makes it")
    return World.open(directory)


def _moment(value: str | None, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadInput(f"--as-of {value!r} is no moment like 2026-03-01T17:30 or 2026-03-01T06:30:00Z") from error
    at = at if at.tzinfo is not None else at.replace(tzinfo=MELBOURNE)
    if at > now:
        raise BadInput(f"--as-of {value} is in the future of business time")
    return at


def _new_orders(world: World, before: datetime, after: datetime) -> list[tuple[str, int]]:
    """How many orders are dated between two moments, for each business with a shop."""
    from masterops_dagster.simulator.world.records import Query

    dated = Query(business_from=before, business_to=after)
    return [
        (business.name, world.count(account.key, ORDERS[account.system], dated))
        for business in BUSINESSES
        for account in ACCOUNTS
        if account.business_key == business.key and account.system in ORDERS
    ]


def _say_faults(faults: tuple[Fault, ...]) -> None:
    if not faults:
        typer.echo("all simulated systems behave")
    for fault in faults:
        lasting = f", {fault.seconds:g} s" if fault.seconds else ""
        typer.echo(f"{fault.system}: {fault.kind} at {fault.rate:.0%} of requests{lasting}, seed {fault.seed}")


def _tell_database(moved: timedelta) -> bool:
    """Sets the database's business time; False where no database answers."""
    import psycopg

    from masterops_dagster.database.connection import DatabaseUnavailable, connect

    try:
        with connect() as connection:
            connection.execute(
                "insert into ops.clock (singleton, offset_seconds) values (true, %s)"
                " on conflict (singleton) do update set offset_seconds = excluded.offset_seconds",
                [moved.total_seconds()],
            )
    except (DatabaseUnavailable, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False
    return True


def _expect_deletions(accounts: Sequence[Account]) -> None:
    """Whatever a simulated system no longer has after this is gone on purpose."""
    import getpass

    import psycopg

    from masterops_dagster.cli.processes import simulated_accounts
    from masterops_dagster.database.connection import DatabaseUnavailable, connect
    from masterops_dagster.settings import settings
    from masterops_dagster.sources import deletions
    from masterops_dagster.sources.catalogue import streams_of

    simulated = simulated_accounts(settings())
    try:
        with connect() as connection:
            for account in accounts:
                if account in simulated:
                    for stream in streams_of(account):
                        deletions.expect(connection, account, stream, by=getpass.getuser())
    except (DatabaseUnavailable, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return


def _forget_cursors() -> bool:
    """Lets the next load of the simulated accounts read everything; False where no database answers."""
    import psycopg

    from masterops_dagster.cli.processes import simulated_accounts
    from masterops_dagster.database.connection import DatabaseUnavailable, connect
    from masterops_dagster.settings import settings

    accounts = [account.key for account in simulated_accounts(settings())]
    try:
        with connect() as connection:
            connection.execute("delete from ops.cursors where account = any(%s)", [accounts])
    except (DatabaseUnavailable, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False
    return True
