"""A changed dbt project is built anew as a whole, once; an unchanged one never again."""

from masterops_dagster.database import dbt_builds


def test_only_another_state_of_the_project_asks_for_everything_to_be_built_anew(database):
    assert dbt_builds.is_changed(database, "marts", "one"), "never built"
    dbt_builds.record(database, "marts", "one")
    assert not dbt_builds.is_changed(database, "marts", "one")
    assert dbt_builds.is_changed(database, "marts", "two")
    dbt_builds.record(database, "marts", "two")
    assert not dbt_builds.is_changed(database, "marts", "two")
    assert database.execute("select part, made_from from ops.dbt_builds").fetchall() == [("marts", "two")]


def test_where_nothing_was_set_up_the_state_is_not_known_and_nothing_is_built_anew(database):
    dbt_builds.record(database, "marts", None)
    assert not dbt_builds.is_changed(database, "marts", None)
    assert database.execute("select from ops.dbt_builds").fetchall() == []
