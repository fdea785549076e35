"""What a health check is: the declarations in `checks.yaml`, read, validated and spread over accounts and hosts."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.settings import MissingCredential, settings

CHECKS_FILE = Path(__file__).with_name("checks.yaml")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of probe: the system that it is about, and the values that it tells, each with its unit."""

    system: str
    values: Mapping[str, str]


KINDS: Mapping[str, Kind] = {
    "integration": Kind("", {"response_ms": "ms", "quota_left": "%", "burst_left": "%", "token_days_left": "days"}),
    "database": Kind("postgres", {"response_ms": "ms", "connections_used": "%", "replication_lag_s": "s"}),
    "database_session": Kind("postgres", {"response_ms": "ms"}),
    "database_bloat": Kind("postgres", {"response_ms": "ms", "dead_rows": "%", "transaction_ids_used": "%"}),
    "disk": Kind("disk", {"response_ms": "ms", "free_gib": "GiB"}),
    "dagster_daemons": Kind("dagster", {"response_ms": "ms", "heartbeat_age_s": "s"}),
    "dagster_webserver": Kind("dagster", {"response_ms": "ms"}),
    "dagster_code_location": Kind("dagster", {"response_ms": "ms"}),
    "dagster_queue": Kind("dagster", {"response_ms": "ms", "queued": "", "oldest_queued_s": "s"}),
    "n8n_server": Kind("n8n", {"response_ms": "ms"}),
    "n8n_executions": Kind(
        "n8n",
        {"response_ms": "ms", "failed_last_hour": "", "oldest_running_min": "min", "oldest_unstarted_min": "min"},
    ),
    "n8n_workflows": Kind("n8n", {"response_ms": "ms", "missed": ""}),
    "certificate": Kind("", {"response_ms": "ms", "days_left": "days"}),
}
"""By the name that stands in `probe:`."""


class ChecksInvalid(ValueError):
    """The file of checks is wrong; the message names the file, the check, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`quota_left > 10 %`: what a value must be like."""

    value: str
    sign: str
    bound: float
    unit: str

    def holds(self, values: Mapping[str, float]) -> bool:
        """Whether it does; a value that wasn't told holds."""
        return self.value not in values or SIGNS[self.sign](values[self.value], self.bound)

    def broken_by(self, values: Mapping[str, float]) -> str:
        """What a person reads: `quota_left is 4 %, should be > 10 %`."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.value} is {_number(values[self.value])}{unit}, should be {self.sign} {_number(self.bound)}{unit}"

    def __str__(self) -> str:
        return f"{self.value} {self.sign} {_number(self.bound)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is checked. `target` is a host and port, where the probe is about one."""

    id: str
    what: str
    probe: str
    every: timedelta
    timeout: timedelta
    down_unless: tuple[Condition, ...] = ()
    degraded_unless: tuple[Condition, ...] = ()
    fail_after: int = 2
    recover_after: int = 2
    system: str | None = None
    account: str | None = None
    business_key: str | None = None
    target: str | None = None


def load_checks(path: Path = CHECKS_FILE) -> tuple[Check, ...]:
    """All checks, one for each account and host where the declaration says so. Raises `ChecksInvalid`."""
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ChecksInvalid(f"{path.name} is no YAML: {' '.join(str(error).split())}") from error
    try:
        declared = _File.model_validate(content)
    except ValidationError as error:
        raise ChecksInvalid(_explained(path, content, error)) from error
    checks = tuple(check for entry in declared.checks for check in _spread(entry, declared.defaults))
    ids = [check.id for check in checks]
    if twice := sorted({check_id for check_id in ids if ids.count(check_id) > 1}):
        raise ChecksInvalid(f"{path.name}: two checks have the id {', '.join(twice)}; each needs one of its own")
    return checks


# ---- the file

SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
UNITS = {"s": 1, "min": 60, "h": 3600, "days": 86400}
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(\w+)")
CONDITION = re.compile(r"(\w+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(%|\w*)")


def _time(value: object) -> object:
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{value!r} is no time; write a number and {', '.join(UNITS)}: 15 s")
    return timedelta(seconds=float(found[1]) * UNITS[found[2]])


def _condition(value: object) -> object:
    found = CONDITION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no condition; write one like `response_ms < 2000 ms`")
    return Condition(found[1], found[2], float(found[3]), found[4])


Time = Annotated[timedelta, BeforeValidator(_time)]
Conditions = tuple[Annotated[Condition, BeforeValidator(_condition)], ...]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_{}]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class _Defaults(_Strict):
    timeout: Time
    fail_after: int = Field(ge=1)
    recover_after: int = Field(ge=1)


class _Entry(_Strict):
    """One declaration; it may stand for many checks."""

    id: Name
    what: str
    probe: str
    every: Time
    for_each: Literal["accounts", "https_hosts"] | None = None
    systems: tuple[str, ...] = ()
    timeout: Time | None = None
    down_unless: Conditions = ()
    degraded_unless: Conditions = ()
    fail_after: int | None = Field(None, ge=1)
    recover_after: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> _Entry:
        if self.probe not in KINDS:
            raise ValueError(f"there is no probe {self.probe!r}; there are {', '.join(KINDS)}")
        values = KINDS[self.probe].values
        for condition in (*self.down_unless, *self.degraded_unless):
            if condition.value not in values:
                raise ValueError(f"the probe {self.probe} tells no {condition.value!r}; it tells {', '.join(values)}")
            if condition.unit and condition.unit != values[condition.value]:
                raise ValueError(
                    f"{condition.value} is in {values[condition.value] or 'no unit'}, not {condition.unit}"
                )
        each = {"integration": "accounts", "certificate": "https_hosts"}.get(self.probe)
        if self.for_each != each:
            wanted = f"needs for_each: {each}" if each else "is asked once: leave for_each out"
            raise ValueError(f"the probe {self.probe} {wanted}")
        systems = sorted({account.system for account in ACCOUNTS})
        for system in self.systems:
            if system not in systems:
                raise ValueError(f"there is no system {system!r}; there are {', '.join(systems)}")
        wildcard = {"accounts": "{account}", "https_hosts": "{host}", None: ""}[self.for_each]
        if wildcard not in self.id or "{" in self.id.replace(wildcard, ""):
            raise ValueError(f"the id must {'contain ' + wildcard if wildcard else 'contain no braces'}")
        return self


class _File(_Strict):
    defaults: _Defaults
    checks: list[_Entry]


def _spread(entry: _Entry, defaults: _Defaults) -> Iterator[Check]:
    if entry.for_each == "accounts":
        for account in ACCOUNTS:
            if account.system in (entry.systems or (account.system,)):
                names = {"account": account.key}
                yield _check(entry, defaults, names, account.system, account.key, account.business_key)
    elif entry.for_each == "https_hosts":
        for place, host in _https_hosts().items():
            yield _check(entry, defaults, {"host": place}, host.system, host.account, host.business_key, place)
    else:
        yield _check(entry, defaults, {}, KINDS[entry.probe].system)


def _check(
    entry: _Entry,
    defaults: _Defaults,
    names: Mapping[str, str],
    system: str,
    account: str | None = None,
    business_key: str | None = None,
    target: str | None = None,
) -> Check:
    if KINDS[entry.probe].system == "n8n":
        account = "n8n"
    return Check(
        id=entry.id.format_map(names),
        what=entry.what.format_map(names),
        probe=entry.probe,
        every=entry.every,
        timeout=entry.timeout or defaults.timeout,
        down_unless=_with_units(entry, entry.down_unless),
        degraded_unless=_with_units(entry, entry.degraded_unless),
        fail_after=entry.fail_after or defaults.fail_after,
        recover_after=entry.recover_after or defaults.recover_after,
        system=system,
        account=account,
        business_key=business_key,
        target=target,
    )


def _with_units(entry: _Entry, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    values = KINDS[entry.probe].values
    return tuple(Condition(one.value, one.sign, one.bound, values[one.value]) for one in conditions)


@dataclass(frozen=True, slots=True)
class _Host:
    system: str
    account: str | None
    business_key: str | None


def _https_hosts() -> dict[str, _Host]:
    """`host`, or `host:port`, of all that is reached over https; accounts that share a host share its certificate."""
    current = settings()
    found: dict[str, _Host] = {}
    for account in ACCOUNTS:
        try:
            place = _https_host(current.access(account).base_url)
        except MissingCredential:
            continue
        if place and place in found:
            found[place] = _Host(found[place].system, None, None)
        elif place:
            found[place] = _Host(account.system, account.key, account.business_key)
    for system, url in (("masterops", current.status_url), ("dagster", current.dagster_url)):
        if url and (place := _https_host(url)):
            found.setdefault(place, _Host(system, None, None))
    return found


def _https_host(url: str) -> str | None:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2].lower() if parts.scheme == "https" else None


def _explained(path: Path, content: Any, error: ValidationError) -> str:
    """Each mistake with the check that it is in."""
    lines = []
    for item in error.errors(include_url=False):
        place = list(item["loc"])
        where = path.name
        if place[:1] == ["checks"] and len(place) > 1 and isinstance(place[1], int):
            entry = content["checks"][place[1]]
            name = entry.get("id", "without an id") if isinstance(entry, dict) else "that is no mapping"
            where += f": check {name} (no. {place[1] + 1})"
            place = place[2:]
        field = ".".join(str(part) for part in place)
        models: dict[str, type[_Strict]] = {"checks": _Entry, "defaults": _Defaults}
        known = models.get(str(next(iter(item["loc"]), "")), _File)
        allowed = f"; there are {', '.join(known.model_fields)}" if item["type"] == "extra_forbidden" else ""
        message = item["msg"].removeprefix("Value error, ")
        lines.append(": ".join(part for part in (where, field, message + allowed) if part))
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.1f}"
