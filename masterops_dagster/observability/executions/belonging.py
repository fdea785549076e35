"""To which account something belongs that bears its name: `unleashed_teelixir_by_day` to `unleashed_teelixir`."""

from __future__ import annotations

from collections.abc import Iterable

from masterops_dagster.businesses import ACCOUNTS, Account

LONGEST_FIRST = sorted(ACCOUNTS, key=lambda one: len(one.key), reverse=True)


def account_of(name: str) -> Account | None:
    """The account whose operation it is, by its name; None for what belongs to none."""
    return next((one for one in LONGEST_FIRST if name == one.key or name.startswith(f"{one.key}_")), None)


def common_account(names: Iterable[str]) -> Account | None:
    """The account to which all of them belong that belong to any."""
    found = {one for one in map(account_of, names) if one is not None}
    return found.pop() if len(found) == 1 else None
