"""Dagster's storage as `masterops up` configures it."""

from __future__ import annotations

from masterops_dagster.database import connection

END_ALL = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid <> pg_backend_pid() and datname = %s"


def test_the_webserver_goes_on_when_postgresql_was_restarted(empty_database_url: str) -> None:
    from dagster import DagsterRunStatus, RunsFilter

    from masterops_dagster.defs.storage import PooledPostgresStorage

    storage = PooledPostgresStorage(empty_database_url)
    runs, events, schedules = storage.run_storage, storage.event_log_storage, storage.schedule_storage
    for each in (runs, events, schedules):
        each.optimize_for_webserver(statement_timeout=5000, pool_recycle=3600, max_overflow=20)

    def use() -> None:
        assert runs.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED])) == []
        assert events.get_logs_for_run("none") == []
        assert schedules.all_instigator_state() == []

    use()
    with connection.connect(empty_database_url) as database:
        ended = database.execute(END_ALL, [database.info.dbname]).fetchall()
    assert len(ended) >= 3
    use()
    for each in (runs, events, schedules):
        each.dispose()
