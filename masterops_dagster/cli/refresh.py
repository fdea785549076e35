"""`masterops refresh`: what changed in the systems is read, then everything on it is built, as one Dagster run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, Account
from masterops_dagster.cli.dagster_client import AssetPath, Dagster
from masterops_dagster.cli.problems import BadInput, RunFailed
from masterops_dagster.cli.progress import Progress, follow
from masterops_dagster.cli.running import dagster, require_running
from masterops_dagster.cli.up import REFRESH_JOB, REFRESH_SCHEDULE
from masterops_dagster.cli.view import View


def refresh(*, business: str | None = None, system: str | None = None) -> None:
    """Reads the chosen accounts, builds everything, and prints what came of it. Raises `RunFailed`."""
    chosen = accounts(business, system)
    where = require_running()
    with dagster(where) as client, View(Console()) as view:
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
    businesses = [known.key for known in BUSINESSES]
    systems = sorted({account.system for account in ACCOUNTS})
    if business is not None and business not in businesses:
        raise BadInput(f"unknown business {business!r}; known: {', '.join(businesses)}")
    if system is not None and system not in systems:
        raise BadInput(f"unknown system {system!r}; known: {', '.join(systems)}")
    found = [
        account
        for account in ACCOUNTS
        if (business is None or account.business_key in (business, None))
        and (system is None or account.system == system)
    ]
    if not found:
        raise BadInput(f"{business} has no {system} account")
    return found


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
