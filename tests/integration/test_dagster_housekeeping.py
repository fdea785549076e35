"""What Dagster's own storage forgets, and what is worked out once for a manifest instead of in every run."""

from datetime import UTC, datetime, timedelta

from masterops_dagster.database.connection import connect
from masterops_dagster.database.retention import purge_dagster_events
from masterops_dagster.settings import settings


def test_old_run_events_go_and_those_of_assets_stay(state_dir, empty_database_url, monkeypatch):
    from dagster_postgres import PostgresEventLogStorage

    monkeypatch.setenv("DAGSTER_DB_URL", empty_database_url)
    settings.cache_clear()
    PostgresEventLogStorage(empty_database_url.replace("postgresql://", "postgresql+psycopg2://"), True).dispose()
    old, new = (datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days) for days in (40, 20))
    with connect(empty_database_url) as connection:
        for run, at, key in (("old", old, None), ("old", old, '["raw"]'), ("new", new, None)):
            connection.execute(
                "insert into event_logs (run_id, event, timestamp, asset_key) values (%s, '{}', %s, %s)", [run, at, key]
            )
        assert purge_dagster_events(timedelta(days=30)) == 1
        left = connection.execute("select run_id, asset_key from event_logs order by id").fetchall()
    assert left == [("old", '["raw"]'), ("new", None)]


def test_column_metadata_is_kept_for_a_manifest_and_worked_out_again_for_another(tmp_path):
    import dagster as dg

    from masterops_dagster.defs.catalogue import _ColumnMetadata

    manifest = tmp_path / "manifest.json"
    manifest.write_text("one")
    key = dg.AssetKey(["marts", "fct_orders"])
    lineage = dg.TableColumnLineage({"order_id": [dg.TableColumnDep(dg.AssetKey(["staging", "x"]), "id")]})
    value = dg.MetadataValue.column_lineage(lineage)
    first = _ColumnMetadata("marts", manifest)
    first.keep(key, {"dagster/column_lineage": value})
    first.save(whole=False)
    assert not _ColumnMetadata("marts", manifest).known, "a run of some models knows too little"
    first.save(whole=True)
    assert _ColumnMetadata("marts", manifest).of(key) == {"dagster/column_lineage": value}
    manifest.write_text("two")
    assert not _ColumnMetadata("marts", manifest).known


def test_what_dbt_parsed_in_a_run_is_there_for_the_next(tmp_path):
    from dbt.constants import PARTIAL_PARSE_FILE_NAME

    from masterops_dagster.defs.warehouse import keep_parsed

    run = tmp_path / "staging-1234567-abcdefg"
    keep_parsed(run, tmp_path)  # dbt came to no end
    assert not (tmp_path / PARTIAL_PARSE_FILE_NAME).exists()
    run.mkdir()
    (run / PARTIAL_PARSE_FILE_NAME).write_bytes(b"parsed with the real connection")
    (tmp_path / PARTIAL_PARSE_FILE_NAME).write_bytes(b"parsed at set-up")
    keep_parsed(run, tmp_path)
    assert (tmp_path / PARTIAL_PARSE_FILE_NAME).read_bytes() == b"parsed with the real connection"
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARTIAL_PARSE_FILE_NAME, run.name]
