"""`masterops go-live`: an account leaves the stand-in world, and takes with it what the world had said of it."""

from __future__ import annotations

import getpass
from contextlib import closing

import typer

from masterops_dagster import clock
from masterops_dagster.businesses import Account
from masterops_dagster.cli import choices
from masterops_dagster.cli.problems import Problem
from masterops_dagster.settings import MissingCredential, settings


def go_live(key: str, *, yes: bool) -> None:
    """Takes away an account's simulated rows once its credentials are those of a real one. Raises `Problem`."""
    account = choices.account_of(key)
    live = _who(account)
    from masterops_dagster.sources import origins
    from masterops_dagster.sources.turn import turn

    with turn(account) as connection:
        known = origins.known(connection, account)
        rows = origins.rows_held(connection, account)
    if known is None or (not known.simulated and known.name in ("", live)):
        typer.echo(f"{key} holds no simulated rows; it is read from {live}: `masterops refresh`")
        return
    if not known.simulated:
        raise Problem(
            f"{account.schema} holds rows of {known.name}, which are real, and the credentials belong to {live}: "
            "nothing is taken away. Correct the credentials; rows of another company need a database of their own"
        )
    typer.echo(f"{key} goes live: it will be read from {live}.")
    typer.echo(
        f"{sum(rows.values()):,} simulated rows of {account.schema} and all that follows from them will be gone:"
    )
    for name, count in rows.items():
        typer.echo(f"  {name}: {count:,}")
    if offset := clock.offset():
        typer.echo(
            f"Business time is {offset.days} days ahead of real time (`masterops world new-day`): what is read of "
            f"{live} will carry that date until business time is real again (docs/going-live.md)."
        )
    if not yes and not typer.confirm("Go on?"):
        raise Problem("nothing was changed")
    gone = _forget(account, live)
    typer.echo(f"{gone:,} simulated rows are gone; `masterops refresh` reads {live} from its beginning")


def _who(account: Account) -> str:
    """Who the credentials belong to, in the system's own words."""
    from masterops_dagster.connectors.registry import open_connector
    from masterops_dagster.database.budget import PostgresBudget
    from masterops_dagster.sources.catalogue import streams_of

    current = settings()
    if current.env != "local":
        raise Problem(f"go-live is for `local`, where the stand-in world is; {current.env} never holds simulated rows")
    if not streams_of(account):
        raise Problem(f"nothing is read from {account.key}: set its credentials, and that is all")
    given = current.accounts.get(account.key)
    if not given:
        raise Problem(
            f"{account.key} has no credentials yet: set them (docs/going-live.md names the variables), then "
            f"`masterops down`, `make up`, `masterops go-live {account.key}`"
        )
    try:
        access = current.access(account)
    except MissingCredential as error:
        raise Problem(str(error)) from error
    with closing(open_connector(access, current, PostgresBudget())) as reader:
        return reader.identity()


def _forget(account: Account, live: str) -> int:
    """Raw rows, books, identities and facts of the account, in one transaction; returns how many raw rows."""
    from masterops_dagster.identity import forget as forget_identities
    from masterops_dagster.reporting.facts import forget as forget_facts
    from masterops_dagster.sources import interventions, origins
    from masterops_dagster.sources.turn import turn

    with turn(account) as connection, connection.transaction():
        lost = origins.forget(connection, account)
        records = forget_identities(connection, account)
        facts = forget_facts(connection, account)
        detail = {"origin": live, "rows": dict(lost), "identities": records, "facts": facts}
        interventions.record(connection, "go-live", account, by=getpass.getuser(), detail=detail)
    return sum(lost.values())
