"""How the stand-ins misbehave, by request of a person or a test.

`faults.json` in the world's folder holds a list of faults, replaced in one step, read by the HTTP side at each request:

    [{"system": "hubspot", "kind": "rate_limit", "rate": 0.1, "seed": 1, "seconds": 0.0, "times": 0, "after": 0}, …]

- `system`: `hubspot`, `unleashed`, … (all its accounts), an account key (`unleashed_teelixir`), `slack` or `email`.
- `kind`: `rate_limit` (429, with `Retry-After` where `seconds` is not 0), `server_error` (500, 502, 503 and 504 in
  turn), `latency` (waits `seconds`), `reset` (the connection breaks in the middle of the body), `malformed` (the JSON
  stops in the middle), `html` (200 and a page for people), `php_warning` (a PHP warning before the JSON), `clock_skew`
  (the server's clock is `seconds` ahead, or behind if negative, in `Date` headers and signature checks), `revoked` (the
  credentials are no longer good, and the system refuses them in its own words), `partial_batch` (some items of a
  HubSpot batch fail with 207; some objects of a Shopify answer are null, with errors beside the data), `throttled`
  (Shopify's refusal inside 200; `seconds` is how long its bucket needs).
- `rate`: the share of requests that it strikes, above 0 up to 1. Which requests it strikes follows from `seed` and the
  request's number since the fault was read: `strikes(fault, n)`.
- `times`: after so many struck requests of an account the fault is over; 0 means never.
- `after`: so many requests of an account pass before the fault begins.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from masterops_dagster.businesses import ACCOUNTS
from masterops_dagster.simulator.world.clock import write_atomically

FAULTS_FILE = "faults.json"

KINDS = (
    "rate_limit",
    "server_error",
    "latency",
    "reset",
    "malformed",
    "html",
    "php_warning",
    "clock_skew",
    "revoked",
    "partial_batch",
    "throttled",
)

SYSTEMS = (*dict.fromkeys(account.system for account in ACCOUNTS), "slack", "email")

KNOWN = tuple(dict.fromkeys((*SYSTEMS, *(account.key for account in ACCOUNTS))))
"""What can misbehave: a system with all its accounts, or one account."""

DEFAULT_SECONDS = {"latency": 2.0, "clock_skew": 600.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which one system, or one account of it, misbehaves."""

    system: str
    kind: str
    rate: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    times: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if self.system not in KNOWN:
            raise ValueError(f"unknown system {self.system!r}; known: {', '.join(KNOWN)}")
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}; known: {', '.join(KINDS)}")
        if not 0 < self.rate <= 1:
            raise ValueError(f"the rate is a share of requests above 0 up to 1, not {self.rate}")
        if self.times < 0 or self.after < 0 or (self.seconds < 0 and self.kind != "clock_skew"):
            raise ValueError(f"seconds, times and after can't be negative: {self.seconds}, {self.times}, {self.after}")

    def concerns(self, account_key: str) -> bool:
        """Whether it is meant for the account of that key."""
        return account_key == self.system or account_key.startswith(f"{self.system}_")


def read(directory: Path) -> tuple[Fault, ...]:
    """The faults in force; none without a file."""
    try:
        stored = json.loads((directory / FAULTS_FILE).read_text())
    except FileNotFoundError:
        return ()
    return tuple(Fault(**fault) for fault in stored)


def misbehave(directory: Path, fault: Fault) -> tuple[Fault, ...]:
    """Puts a fault in force, in place of one of the same system and kind. Returns all in force."""
    kept = [f for f in read(directory) if (f.system, f.kind) != (fault.system, fault.kind)]
    return _write(directory, [*kept, fault])


def calm(directory: Path, system: str | None = None) -> tuple[Fault, ...]:
    """Ends the faults of one system, or all. Returns those still in force. Raises `ValueError`: no such system."""
    if system is not None and system not in KNOWN:
        raise ValueError(f"unknown system {system!r}; known: {', '.join(KNOWN)}")
    return _write(directory, [f for f in read(directory) if system is not None and f.system != system])


def strikes(fault: Fault, number: int) -> bool:
    """Whether the fault strikes the request of that number (0, 1, …): the same for the same seed, ever after."""
    digest = hashlib.blake2b(f"{fault.seed}:{fault.system}:{fault.kind}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < fault.rate


def _write(directory: Path, faults: list[Fault]) -> tuple[Fault, ...]:
    write_atomically(directory / FAULTS_FILE, json.dumps([asdict(fault) for fault in faults], indent=1))
    return tuple(faults)
