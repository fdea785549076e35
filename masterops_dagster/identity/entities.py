"""What is matched: the three entities, their tables, their fields and their rules, the strongest first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

SQL = Path(__file__).parent / "sql"

FORMER = "former"
"""The rule by which a record that is gone from its system stays with those it was one with."""

PRIORITIES = (("shopify",), ("unleashed",), ("bigcommerce", "woocommerce"), ("hubspot",))
"""Whose word counts, the most trusted first: the store, wholesale, the other shops, what is typed in by hand."""

ADDRESS = ("address", "city", "state", "postcode", "country")


@dataclass(frozen=True, slots=True)
class Entity:
    """`fields` are the columns of the golden record that a person may override; `sources` those of what a system says.

    `core.<plural>` holds the golden records and `core.<name>_sources` what the systems say; the queries of `said` read
    the staging views, and `golden_<plural>.sql` resolves the record.
    """

    name: str
    plural: str
    fields: tuple[str, ...]
    sources: tuple[str, ...]
    rules: tuple[str, ...]
    said: tuple[str, ...]

    @property
    def key(self) -> str:
        """The column of our id."""
        return f"{self.name}_id"

    @property
    def sources_table(self) -> str:
        """The table of what the systems say."""
        return f"{self.name}_sources"


_WHEN = ("source_created_at", "source_modified_at")

CUSTOMER = Entity(
    "customer",
    "customers",
    fields=(
        "email", "first_name", "last_name", "company_name", "phone", "abn", "contact_type", "wholesale_account",
        *ADDRESS,
    ),
    sources=(
        "email", "first_name", "last_name", "company_name", "phone", "abn", "customer_code", "contact_type",
        "is_retail", *ADDRESS, *_WHEN,
    ),
    rules=("hubspot_merge", "customer_code", "shopify_customer", "abn", "email", FORMER),
    said=("said_customers", "said_mentions"),
)  # fmt: skip

COMPANY = Entity(
    "company",
    "companies",
    fields=(
        "company_name", "abn", "domain", "phone", "company_type", "account_status", "wholesale_discount_tier",
        "minimum_order_value", "payment_terms", *ADDRESS,
    ),
    sources=(
        "company_name", "abn", "customer_code", "domain", "phone", "company_type", "account_status",
        "wholesale_discount_tier", "minimum_order_value", "payment_terms", *ADDRESS, *_WHEN,
    ),
    rules=("hubspot_merge", "customer_code", "abn", FORMER),
    said=("said_companies", "said_mentions"),
)  # fmt: skip

PRODUCT = Entity(
    "product",
    "products",
    fields=("sku", "product_name", "product_group", "barcode", "unit_of_measure", "is_sellable"),
    sources=(
        "business_key", "sku", "product_name", "product_group", "barcode", "unit_of_measure", "is_sellable", *_WHEN
    ),
    rules=("sku", "mapping", FORMER),
    said=("said_products",),
)  # fmt: skip

ENTITIES = (CUSTOMER, COMPANY, PRODUCT)


def entity(name: str) -> Entity:
    """The entity of that name: customer, company or product. Raises `KeyError` naming them."""
    for candidate in ENTITIES:
        if candidate.name == name:
            return candidate
    raise KeyError(f"unknown entity {name!r}; known: {', '.join(known.name for known in ENTITIES)}")


@cache
def query(name: str) -> bytes:
    """The text of `sql/<name>.sql`."""
    return (SQL / f"{name}.sql").read_bytes()
