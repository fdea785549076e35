"""Alert rules as data: `observability/alert_rules.yaml`, checked as it is read.

A rule names a signal (a query in `observability/signals`), the condition under which its value is bad, and what people
need to know: severity, owner, impact, runbook. A wrong file raises `RulesInvalid`, which names the rule and the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.observability.incidents import Severity

RULES_FILE = Path(__file__).parent.parent / "alert_rules.yaml"
SIGNALS_DIR = Path(__file__).parent.parent / "signals"
ENGINE = "engine"
"""The signal of the rules themselves: which of them can't be evaluated."""

Label = Literal["subject", "system", "account", "business"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class RulesInvalid(ValueError):
    """The rules can't be used; each line of the message names a rule, a field and what is wrong with it."""


def duration(value: object) -> object:
    """`90s`, `15m`, `1h30m`, `2d` as a timedelta; anything else as it is, for pydantic to judge."""
    if isinstance(value, str):
        if not re.fullmatch(r"(\d+[smhd])+", value):
            raise ValueError(f"{value!r} is no duration; write it as 30s, 15m, 1h30m or 2d")
        parts = re.findall(r"(\d+)([smhd])", value)
        return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))
    return value


def level(value: object) -> object:
    """A number, or a duration as its seconds."""
    meant = duration(value)
    return meant.total_seconds() if isinstance(meant, timedelta) else meant


Duration = Annotated[timedelta, BeforeValidator(duration)]
Level = Annotated[float, BeforeValidator(level)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Unusual(_Strict):
    """Against the same hour of past weeks, as the signal's `detail.past` has it: so many deviations from the median.

    Nothing is unusual before `weeks` weeks are known, nor where median and value are both below `least`.
    """

    deviations: float = Field(gt=0)
    side: Literal["low", "high", "both"] = "both"
    weeks: int = Field(4, ge=3)
    least: float = Field(10, ge=0)


class Condition(_Strict):
    """When a value is bad: one of `above`, `below` (exclusive) and `unusual`. Past `critical` it is critical."""

    above: Level | None = None
    below: Level | None = None
    unusual: Unusual | None = None
    critical: Level | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("above", "below", "unusual") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of above, below, unusual; has {' and '.join(given) or 'none'}")
        if self.critical is not None:
            if self.unusual is not None:
                raise ValueError("critical goes with above or below")
            wrong = self.critical < self.above if self.above is not None else self.critical > (self.below or 0)
            if wrong:
                raise ValueError("critical must lie beyond the threshold")
        return self


class BusinessHours(_Strict):
    """Melbourne time. Outside of them nothing new is told; what was told before can end."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ("mon", "tue", "wed", "thu", "fri")
    start: time = Field(time(9), alias="from")
    end: time = Field(time(17), alias="to")

    def contain(self, business_at: datetime) -> bool:
        local = business_at.astimezone(MELBOURNE)
        return DAYS[local.weekday()] in self.days and self.start <= local.time() < self.end


class Rule(_Strict):
    """One rule. Durations are written as 30s, 15m, 2h or 1d; texts may name `{subject}`, `{account}`, `{value}` …

    `wait` (`for`): so long the condition holds before it is told. `resolve_after`: so long it must be over.
    `settle`: so long nothing is told after the platform was off. `every`: how often it is evaluated.
    `explained_by`: rules that make this one mute while they fire for the same account, system or subject (or `any`),
    and `after_explained` longer. `group_by`: alerts that agree in these labels are one incident.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    title_many: str | None = None
    signal: str
    parameters: Mapping[str, Any] = {}
    only: Mapping[str, tuple[str, ...]] = {}
    condition: Condition
    unit: Literal["", "duration", "percent", "rows", "requests", "runs", "orders", "days"] = ""
    message: str
    severity: Severity
    wait: Duration = Field(timedelta(0), alias="for")
    resolve_after: Duration = timedelta(seconds=30)
    settle: Duration = timedelta(0)
    every: Duration = timedelta(0)
    business_hours: BusinessHours | None = None
    explained_by: Mapping[str, Label | Literal["any"]] = {}
    after_explained: Duration = timedelta(0)
    group_by: tuple[Label, ...] = ("subject",)
    owner: str = Field(min_length=1)
    impact: str = Field(min_length=1)

    @property
    def runbook(self) -> str:
        """Where the page is that says what to do."""
        return f"docs/runbooks/{self.id}.md"

    @field_validator("signal")
    @classmethod
    def _signal_exists(cls, value: str) -> str:
        if value != ENGINE and not (SIGNALS_DIR / f"{value}.sql").exists():
            known = ", ".join(sorted(path.stem for path in SIGNALS_DIR.glob("*.sql")))
            raise ValueError(f"there is no signal {value!r}; known: {known}")
        return value

    @field_validator("only", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return {name: [wanted] if isinstance(wanted, str) else wanted for name, wanted in value.items()}
        return value

    @field_validator("title", "title_many", "message")
    @classmethod
    def _template_reads(cls, value: str | None) -> str | None:
        try:
            names = [name for _, name, _, _ in Formatter().parse(value or "") if name is not None]
        except ValueError as error:
            raise ValueError(f"{error} in {value!r}") from error
        if wrong := [name for name in names if not re.fullmatch(r"[a-z_]+", name)]:
            raise ValueError(f"{wrong[0]!r} in {value!r} is no field: write {{subject}}, {{account}}, {{value}} …")
        return value

    @model_validator(mode="after")
    def _does_not_explain_itself(self) -> Self:
        if self.id in self.explained_by:
            raise ValueError("explained_by names the rule itself")
        return self


class _File(_Strict):
    rules: tuple[Rule, ...]


def load_rules(path: Path = RULES_FILE) -> tuple[Rule, ...]:
    """The rules, those that explain others before them; read anew when the file has changed. Raises `RulesInvalid`."""
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(4)
def _read(path: Path, written_at: int) -> tuple[Rule, ...]:
    """`written_at` tells one state of the file from another."""
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise RulesInvalid(f"{path.name} is no YAML: {error}") from error
    try:
        rules = _File.model_validate(content).rules
    except ValidationError as error:
        raise RulesInvalid("\n".join(_described(path, content, item) for item in error.errors())) from None
    return in_order(rules)


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Those that explain others come before them. Raises `RulesInvalid` for doubled ids, unknown ones and circles."""
    waiting = list(rules)
    ids = [rule.id for rule in waiting]
    if doubled := sorted({id for id in ids if ids.count(id) > 1}):
        raise RulesInvalid(f"rule {doubled[0]}: the id is given twice")
    for rule in waiting:
        if unknown := sorted(set(rule.explained_by) - set(ids)):
            raise RulesInvalid(f"rule {rule.id}: explained_by: there is no rule {unknown[0]!r}")
    done: list[Rule] = []
    while waiting:
        known = {rule.id for rule in done}
        ready = [rule for rule in waiting if set(rule.explained_by) <= known]
        if not ready:
            raise RulesInvalid(f"rules explain each other in a circle: {', '.join(rule.id for rule in waiting)}")
        done.extend(ready)
        waiting = [rule for rule in waiting if rule not in ready]
    return tuple(done)


def rule_of(rules: Sequence[Rule], rule_id: str) -> Rule | None:
    """The rule of that id."""
    return next((rule for rule in rules if rule.id == rule_id), None)


def _described(path: Path, content: object, error: Mapping[str, Any] | Any) -> str:
    place = list(error["loc"])
    named = path.name
    if len(place) >= 2 and place[0] == "rules" and isinstance(place[1], int) and isinstance(content, dict):
        entry = content["rules"][place[1]]
        named = f"rule {entry.get('id', place[1] + 1)}" if isinstance(entry, dict) else f"rule {place[1] + 1}"
        place = place[2:]
    said = error["msg"].removeprefix("Value error, ")
    return ": ".join([named, *([".".join(map(str, place))] if place else []), said])
