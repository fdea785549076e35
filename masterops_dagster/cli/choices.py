"""What a person names at the command line: accounts, streams, days … A wrong name gets the nearest one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from masterops_dagster.businesses import ACCOUNTS, BUSINESSES, MELBOURNE, Account
from masterops_dagster.cli.problems import BadInput

if TYPE_CHECKING:
    from masterops_dagster.sources.stream import Stream
    from masterops_dagster.sources.window import Window


def unknown(kind: str, given: str, known: Iterable[str]) -> BadInput:
    """`unknown business 'telixir': did you mean 'teelixir'? known: …`."""
    names = list(dict.fromkeys(str(name) for name in known))
    near = get_close_matches(given.lower().replace("-", "_"), names, n=1)
    meant = f": did you mean {near[0]!r}?" if near else ";"
    return BadInput(f"unknown {kind} {given!r}{meant} known: {', '.join(names)}")


def business_of(key: str) -> str:
    """The key, if there is such a business."""
    known = [business.key for business in BUSINESSES]
    if key not in known:
        raise unknown("business", key, known)
    return key


def account_of(key: str) -> Account:
    """The account of that key."""
    for account in ACCOUNTS:
        if account.key == key:
            return account
    raise unknown("account", key, (account.key for account in ACCOUNTS))


def stream_of(name: str, account_key: str | None) -> tuple[Account, Stream]:
    """The stream of that name, of the account that is named or of the only one that has it."""
    found = require_stream(name, account_key)
    if len(found) > 1:
        raise BadInput(f"{name} is a stream of several accounts; add --account {' | '.join(a.key for a, _ in found)}")
    return found[0]


def require_stream(name: str, account_key: str | None) -> list[tuple[Account, Stream]]:
    """All streams of that name, of the account that is named or of any."""
    from masterops_dagster.sources.catalogue import streams_of

    among = ACCOUNTS if account_key is None else (account_of(account_key),)
    found = [(account, stream) for account in among for stream in streams_of(account) if stream.name == name]
    if not found:
        whose = "" if account_key is None else f" of {account_key}"
        raise unknown(f"stream{whose}", name, (stream.name for account in among for stream in streams_of(account)))
    return found


def day_of(text: str, option: str) -> date:
    """A day as 2026-03-01."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{option} {text!r} is no day; write it as 2026-03-01") from error


def moment_of(text: str, option: str, now: datetime) -> datetime:
    """A moment that has passed; without a zone it is Melbourne's, a day alone its first moment."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{option} {text!r} is no moment like 2026-03-01T17:30 or 2026-03-01T06:30Z") from error
    at = at if at.tzinfo is not None else at.replace(tzinfo=MELBOURNE)
    if at > now:
        raise BadInput(f"{option} {text} is in the future; now is {now.astimezone(MELBOURNE):%Y-%m-%dT%H:%M} there")
    return at


def days_of(start: str | None, end: str | None) -> Window:
    """The reload of these days, both inclusive; of everything without any."""
    from masterops_dagster import clock
    from masterops_dagster.sources.window import Window

    if start is None and end is None:
        return Window.reload()
    if start is None or end is None:
        raise BadInput("days need both --from and --to (the last day, inclusive)")
    first, last = day_of(start, "--from"), day_of(end, "--to")
    if first > last:
        raise BadInput(f"--from {first} is after --to {last}: turn them round")
    today = clock.today()
    if last > today:
        raise BadInput(f"--to {last} is in the future; today is {today}")
    return Window.reload(first, last + timedelta(days=1))
