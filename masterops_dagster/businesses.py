"""The four businesses, and which account of which outside system feeds each.

An account is one set of credentials at one system: one rate budget, one dlt pipeline, one raw schema.
A new business or account is one entry here; streams, assets and dbt sources follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

MELBOURNE = ZoneInfo("Australia/Melbourne")
"""Where days are cut, for every business."""

GROUP = "group"
"""The business key under which the figures of all businesses together stand."""


@dataclass(frozen=True, slots=True)
class Business:
    """One of the businesses of the group. `currency` is ISO 4217; `timezone` an IANA name."""

    key: str
    name: str
    timezone: str = "Australia/Melbourne"
    currency: str = "AUD"


@dataclass(frozen=True, slots=True)
class Account:
    """One account at an outside system; `business_key` is None where the whole group shares it."""

    system: str
    business_key: str | None = None

    @property
    def key(self) -> str:
        """`hubspot`, `unleashed_teelixir`: names the dlt pipeline, the Dagster pool and the budget."""
        return self.system if self.business_key is None else f"{self.system}_{self.business_key}"

    @property
    def schema(self) -> str:
        """The PostgreSQL schema that holds exactly what this account's system said."""
        return f"raw_{self.key}"

    @property
    def asset_prefix(self) -> tuple[str, ...]:
        """`("raw", "unleashed", "teelixir")`: the first parts of the asset keys of this account's streams."""
        return ("raw", self.system) if self.business_key is None else ("raw", self.system, self.business_key)


@dataclass(frozen=True, slots=True)
class IntercompanyCustomer:
    """A customer code, in one account at Unleashed, under which another business of the group buys."""

    account_key: str
    customer_code: str
    buyer: str


BUSINESSES = (
    Business("teelixir", "Teelixir"),
    Business("elevate_wholesale", "Elevate Wholesale"),
    Business("buy_organics_online", "Buy Organics Online"),
    Business("red_hill_fresh", "Red Hill Fresh"),
)

ACCOUNTS = (
    Account("hubspot"),
    Account("shopify", "teelixir"),
    Account("shopify", "elevate_wholesale"),
    Account("unleashed", "teelixir"),
    Account("unleashed", "elevate_wholesale"),
    Account("bigcommerce", "buy_organics_online"),
    Account("woocommerce", "red_hill_fresh"),
    Account("n8n"),
    Account("supabase"),
)

INTERCOMPANY_CUSTOMERS = (IntercompanyCustomer("unleashed_teelixir", "ELEVATE", "elevate_wholesale"),)
"""Sales within the group: they count for the business that sells and are eliminated from the group's figures."""


def business(key: str) -> Business:
    """The business of that key. Raises `KeyError` naming the known keys."""
    for candidate in BUSINESSES:
        if candidate.key == key:
            return candidate
    raise KeyError(f"unknown business {key!r}; known: {', '.join(b.key for b in BUSINESSES)}")


def account(key: str) -> Account:
    """The account of that key. Raises `KeyError` naming the known keys."""
    for candidate in ACCOUNTS:
        if candidate.key == key:
            return candidate
    raise KeyError(f"unknown account {key!r}; known: {', '.join(a.key for a in ACCOUNTS)}")
