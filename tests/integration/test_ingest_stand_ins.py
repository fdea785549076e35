"""Whole accounts over HTTP: what the stand-ins hold is what the raw tables hold, through misbehaviour and days."""

import pytest

from masterops_dagster.connectors.telemetry import InMemorySink
from masterops_dagster.sources.catalogue import READ_ACCOUNTS
from masterops_dagster.sources.ingest import Window, ingest


@pytest.mark.parametrize("account", READ_ACCOUNTS, ids=lambda account: account.key)
def test_what_a_system_says_it_has_is_what_we_hold(account, connected, database):
    system = account.key
    connected.misbehave(account.system, "server_error", rate=0.1, seed=7)
    sink = InMemorySink()
    report = ingest(account, sink=sink)
    assert report.rows > 0
    assert all(stream.simulated for stream in report.streams)
    differing = [s for s in report.streams if s.source_count is not None and s.source_count != s.our_count]
    assert differing == []
    assert [s.stream for s in report.streams if s.open_dead_letters] == []
    assert sum(s.requests for s in report.streams) == len(sink.events)
    empty = {s.stream for s in report.streams if s.rows == 0}
    assert not empty & {
        "contacts",
        "deals",
        "sales_orders",
        "sales_order_lines",
        "stock_on_hand",
        "orders",
        "order_lines",
    }

    connected.calm()
    again = ingest(account)
    assert again.rows < report.rows, "a second load reads what changed, not everything"
    swept = ingest(account, window=Window.sweep())
    assert {s.stream: s.our_count for s in swept.streams} == {s.stream: s.our_count for s in again.streams}
    assert database.execute("select count(*) from ops.loads where status <> 'succeeded'").fetchone() == (0,), system
