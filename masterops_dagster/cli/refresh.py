"""`masterops refresh`: what changed in the systems is read, then everything on it is built, as one Dagster run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from masterops_dagster.businesses import Account
from masterops_dagster.cli import choices
from masterops_dagster.cli.dagster_client import AssetPath, Dagster
from masterops_dagster.cli.problems import BadInput, RunFailed
from masterops_dagster.cli.progress import Progress, follow
from masterops_dagster.cli.running import dagster, require_running
from masterops_dagster.cli.up import REFRESH_JOB, REFRESH_SCHEDULE
from masterops_dagster.cli.view import View
from masterops_dagster.sources.catalogue import READ_ACCOUNTS


def refresh(*, business: str | None = None, system: str | None = None, accept_deletions: bool = False) -> None:
    """Reads the chosen accounts, builds everything, and prints what came of it. Raises `RunFailed`.

    With `accept_deletions` rows that were held back as suspiciously many are marked as deleted, if they still are gone.
    """
    chosen = accounts(business, system)
    where = require_running()
    with dagster(where) as client, View(Console()) as view:
        if accept_deletions:
            accept(chosen, view)
        client.await_definitions()
        everything = client.job_assets(REFRESH_JOB)
        selected = selection(everything, chosen)
        whole = len(selected) == len(everything)
        run_id = client.launch(REFRESH_JOB, client.tick_tags(REFRESH_SCHEDULE), None if whole else selected)
        view.say(f"refresh of {', '.join(account.key for account in chosen)}")
        progress = _followed(client, run_id, len(selected), view)
        for account in chosen:
            rows = progress.rows_of([path for path in selected if belongs(path, account)])
            view.say(f"  {account.key}: {rows:,} rows")
        if not progress.succeeded:
            failed = ", ".join(failure.step or "the run" for failure in progress.failures) or "the run"
            raise RunFailed(
                f"refresh ended as {progress.status} after {progress.seconds:.0f} s; failed: {failed} (run {run_id})"
            )
        view.say(f"refreshed: {progress.rows:,} rows, {len(progress.made)} assets in {progress.seconds:.0f} s")


def accounts(business: str | None, system: str | None) -> list[Account]:
    """The accounts that feed the business (what the whole group shares feeds each) and are of the system."""
    systems = sorted({account.system for account in READ_ACCOUNTS})
    if business is not None:
        choices.business_of(business)
    if system is not None and system not in systems:
        raise choices.unknown("system", system, systems)
    found = [
        account
        for account in READ_ACCOUNTS
        if (business is None or account.business_key in (business, None))
        and (system is None or account.system == system)
    ]
    if not found:
        raise BadInput(f"{business} has no {system} account")
    return found


def accept(chosen: Sequence[Account], view: View) -> None:
    """Agrees to the deletions that are held back for these accounts, and says which."""
    import getpass

    from masterops_dagster.database.connection import connect
    from masterops_dagster.sources import deletions, interventions
    from masterops_dagster.sources.catalogue import stream

    by_key = {account.key: account for account in chosen}
    with connect() as connection:
        held = deletions.held(connection, chosen)
        for one in held:
            account = by_key[one.account]
            of = stream(account, one.stream)
            with connection.transaction():
                rows = deletions.accept(connection, account, of, by=getpass.getuser())
                detail = {"rows": rows, "of": one.our_rows}
                interventions.record(connection, "accept-deletions", account, of, by=getpass.getuser(), detail=detail)
            view.say(f"  agreed: {one.account} {one.stream}: {rows:,} of {one.our_rows:,} rows may go")
    if not held:
        view.say("  no deletions are held back")


def selection(assets: Sequence[AssetPath], chosen: Sequence[Account]) -> list[AssetPath]:
    """The raw assets of these accounts, and all that is built."""
    return [path for path in assets if path[0] != "raw" or any(belongs(path, account) for account in chosen)]


def belongs(path: AssetPath, account: Account) -> bool:
    """Whether the asset is one of the account's streams."""
    prefix = account.asset_prefix
    return path[: len(prefix)] == prefix and len(path) == len(prefix) + 1


def _followed(client: Dagster, run_id: str, expected: int, view: View) -> Progress:
    try:
        return follow(client, run_id, expected, view, "refresh")
    except KeyboardInterrupt:
        client.cancel(run_id)
        raise RunFailed(f"refresh cancelled (run {run_id})") from None
