"""Every stream of every system, and what the raw table of each looks like."""

from __future__ import annotations

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.sources import bigcommerce, hubspot, n8n, shopify, unleashed, woocommerce
from masterops_dagster.sources.stream import INGEST_COLUMNS, Column, Stream, Type

STREAMS: dict[str, tuple[Stream, ...]] = {
    "hubspot": hubspot.STREAMS,
    "shopify": shopify.STREAMS,
    "unleashed": unleashed.STREAMS,
    "bigcommerce": bigcommerce.STREAMS,
    "woocommerce": woocommerce.STREAMS,
    "n8n": n8n.STREAMS,
    "supabase": (),
}
"""By system; the accounts of one system have the same streams."""

READ_ACCOUNTS = tuple(account for account in ACCOUNTS if STREAMS[account.system])
"""The accounts that rows are read from: all but Supabase, where rows go."""

PARENT_VERSION = Column("_parent_version", Type.TIMESTAMP, "")
"""On children: their parent's `modified` at the time they were read; rows older than their parent are gone there."""


def streams_of(account: Account) -> tuple[Stream, ...]:
    """The streams of an account, parents before their children."""
    return STREAMS[account.system]


def stream(account: Account, name: str) -> Stream:
    """The account's stream of that name. Raises `KeyError` naming the known ones."""
    for candidate in streams_of(account):
        if candidate.name == name:
            return candidate
    raise KeyError(
        f"account {account.key} has no stream {name!r}; it has {', '.join(s.name for s in streams_of(account))}"
    )


def children(account: Account, parent: Stream) -> tuple[Stream, ...]:
    """The streams that are read with that parent."""
    return tuple(child for child in streams_of(account) if child.parent == parent.name)


def table_columns(stream: Stream) -> tuple[Column, ...]:
    """All columns of the stream's raw table, in order: its own, then those that ingest adds."""
    return stream.columns + INGEST_COLUMNS + ((PARENT_VERSION,) if stream.parent else ())


def asset_key(account: Account, stream: Stream) -> tuple[str, ...]:
    """`("raw", "unleashed", "teelixir", "sales_orders")`: the stream's key in Dagster and in dbt's sources."""
    return (*account.asset_prefix, stream.name)


def partitioned(account: Account, of: Stream) -> bool:
    """Whether the stream has day partitions, that is, can be backfilled; a child has its parent's."""
    return (stream(account, of.parent) if of.parent else of).business_date is not None
