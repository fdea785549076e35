"""The fault matrix as data: which accounts, which troubles, how much of each, and what a person is told.

Each trouble comes in two doses. The light one is over before patience is: a load survives it by itself. The heavy one
begins in the middle of a load and stays: the load ends, and says what is wrong. `tests/chaos/test_fault_matrix.py` runs
all of it; the table in `docs/faults.md` is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from masterops_dagster.businesses import account
from masterops_dagster.connectors.telemetry import OK, REPAIRED, RequestEvent

LOADED: Mapping[str, tuple[str, ...]] = {
    "hubspot": ("deals", "owners"),
    "shopify_teelixir": ("orders", "locations"),
    "unleashed_teelixir": ("credit_notes", "warehouses"),
    "bigcommerce_buy_organics_online": ("orders", "refunds"),
    "woocommerce_red_hill_fresh": ("orders", "refunds"),
    "n8n": ("workflows", "executions"),
}
"""One account of each system, and the streams that a cell loads, with their children."""

HASTE = {"MASTEROPS_REQUEST_DEADLINE_SECONDS": "1.2", "MASTEROPS_REQUEST_TIMEOUT_SECONDS": "0.6"}
"""Settings under a heavy dose, so that patience ends within a test."""

Dose = Mapping[str, Any]
"""Arguments of a fault: `rate`, `seconds`, `times`, `after`."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One column of the matrix. `advice` matches what the message tells a person to do.

    `light` is empty where even the smallest dose ends a load. `unharmed` are systems that the heavy one doesn't
    disturb; it comes with `haste`, settings by variable.
    """

    name: str
    kind: str
    light: Dose
    heavy: Dose
    what_it_is: str
    advice: str
    unharmed: frozenset[str] = frozenset()
    haste: Mapping[str, str] = field(default_factory=lambda: HASTE)

    def strikes(self, event: RequestEvent) -> bool:
        """Whether a request shows the light dose."""
        if self.kind == "clock_skew":  # shows in nothing that is written down
            return True
        slow = self.kind == "latency" and event.duration_ms >= self.light["seconds"] * 1000
        return slow or event.outcome not in (OK, REPAIRED)

    def ends_a_load_of(self, system: str) -> bool:
        """Whether the heavy dose is more than a load can bear."""
        return system not in self.unharmed


LATER = r"try again later|Try again (later|when the account is less busy)|tries again by itself"

TROUBLES = (
    Trouble(
        "429 storm",
        "rate_limit",
        light={"rate": 0.5, "times": 3, "seconds": 0.05},
        heavy={"after": 1, "seconds": 1},
        what_it_is="half of the requests are refused; then all from the second on",
        advice=LATER,
    ),
    Trouble(
        "5xx burst",
        "server_error",
        light={"rate": 0.5, "times": 3},
        heavy={"after": 1},
        what_it_is="500, 502, 503, 504 in turn, as JSON and as pages",
        advice=LATER,
    ),
    Trouble(
        "latency",
        "latency",
        light={"rate": 0.5, "times": 3, "seconds": 0.3},
        heavy={"after": 1, "seconds": 1.5},
        what_it_is="slow answers; then slower than the time-out",
        advice=LATER,
    ),
    Trouble(
        "resets in the body",
        "reset",
        light={"rate": 0.5, "times": 3},
        heavy={"after": 1},
        what_it_is="the connection breaks half-way through the body",
        advice=f"check the base URL and what stands between us and the system|{LATER}",
    ),
    Trouble(
        "malformed page",
        "malformed",
        light={"rate": 0.5, "times": 3},
        heavy={"after": 1},
        what_it_is="the JSON stops in the middle",
        advice=f"check the base URL and what stands between us and the system|{LATER}",
    ),
    Trouble(
        "auth revoked in the middle",
        "revoked",
        light={},
        heavy={"after": 1},
        what_it_is="the credentials are refused from the second request on",
        advice=r"Check the account's credentials|Grant the credentials",
    ),
    Trouble(
        "clock skew",
        "clock_skew",
        light={"seconds": -600},
        heavy={"seconds": 7200},
        what_it_is="the system's clock is ten minutes behind; then two hours ahead",
        advice=r"[Cc]lock",
        unharmed=frozenset({"hubspot", "shopify", "unleashed", "bigcommerce", "n8n"}),
        haste={},
    ),
)

QUICK = {
    ("n8n", "429 storm"),
    ("woocommerce_red_hill_fresh", "5xx burst"),
    ("woocommerce_red_hill_fresh", "auth revoked in the middle"),
}
"""Cells that `make test` runs: a load survives, a load fails, credentials fail. `make chaos` runs all."""


def table() -> str:
    """The matrix in Markdown: `S` where a load survives a dose by itself, `R` where the next one recovers."""
    header = ["", *(trouble.name for trouble in TROUBLES)]
    rows = [header, ["---"] * len(header)]
    for key in LOADED:
        system = account(key).system
        row = [f"`{key}`"]
        for trouble in TROUBLES:
            light = "S" if trouble.light else ""
            row.append(f"{light} {'R' if trouble.ends_a_load_of(system) else 'S'}".strip())
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def doses() -> str:
    """What the columns are, in Markdown."""
    return "\n".join(f"- **{trouble.name}**: {trouble.what_it_is}" for trouble in TROUBLES)
