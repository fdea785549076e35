"""Runs `supabase/migrations/` in order and keeps its history in the Supabase CLI's own form and table.

So `supabase db push` and this runner can be used on one database, and refuse the same things: a landed migration whose
file is gone, and a new one dated before a landed one. On top of that, a landed migration must not have been edited.
"""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from masterops_dagster.database.connection import connect
from masterops_dagster.database.statements import split
from masterops_dagster.settings import PROJECT_ROOT

MIGRATIONS = PROJECT_ROOT / "supabase" / "migrations"
FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>.+)\.sql")
OLDEST_POSTGRES = 15

TABLE_WAIT = "3s"
"""How long a migration waits for a table that others use: while it waits, whoever else wants it waits behind it."""
PATIENCE = 300.0
"""How long in all: in between, others get their turn."""
LONGEST_TRANSACTIONS = """
select application_name, round(extract(epoch from clock_timestamp() - xact_start))
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
order by xact_start limit 3
"""

LOCK = "select pg_advisory_xact_lock(hashtextextended('masterops migrations', 0))"
SET_TABLE_WAIT = "select set_config('lock_timeout', %s, true)"
CREATE_HISTORY = (
    "create schema if not exists supabase_migrations",
    "create table if not exists supabase_migrations.schema_migrations (version text not null primary key)",
    "alter table supabase_migrations.schema_migrations add column if not exists statements text[]",
    "alter table supabase_migrations.schema_migrations add column if not exists name text",
)
HISTORY_EXISTS = "select to_regclass('supabase_migrations.schema_migrations') is not null"
READ_HISTORY = "select version, statements from supabase_migrations.schema_migrations order by version"
RECORD = "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)"


MAY_CREATE = "select current_user, current_database(), has_database_privilege(current_database(), 'create')"
NEW_SCHEMA = re.compile(r"(?:\s|--[^\n]*\n)*create\s+schema\s+(\w+)\s*;?\s*$", re.IGNORECASE)
SCHEMAS_THERE = "select nspname from pg_namespace where nspname = any(%s) order by 1"


class MigrationError(RuntimeError):
    """The migrations can't be applied; the message names the file and says what to do."""


class TableInUse(MigrationError):
    """Somebody else works with a table that a migration wants for itself."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `version` is its 14 digits; `statements` are as the Supabase CLI would record them."""

    version: str
    name: str
    path: Path
    statements: tuple[str, ...]


def migrate(url: str | None = None, directory: Path = MIGRATIONS, *, patience: float = PATIENCE) -> list[Migration]:
    """Applies what is pending, each migration in a transaction of its own, and returns what was applied.

    Two runners at once are safe: one waits, and then finds nothing to do. So is one while others work on the database:
    a migration that finds a table in use lets go after `TABLE_WAIT` and tries again, up to `patience` seconds, so that
    nobody waits behind it for long. Raises `MigrationError`, with everything up to the failed migration landed and
    nothing of it.
    """
    files = read(directory)
    applied = []
    with connect(url, application_name="masterops migrate", prepare_threshold=None) as connection:
        _require_supported(connection)
        while (landed := _apply_patiently(connection, files, time.monotonic() + patience)) is not None:
            applied.append(landed)
    return applied


def pending(url: str | None = None, directory: Path = MIGRATIONS) -> list[Migration]:
    """What `migrate` would apply; raises what it would raise before applying."""
    files = read(directory)
    with connect(url, application_name="masterops migrate", prepare_threshold=None) as connection:
        _require_supported(connection)
        return _pending(connection, files)


def read(directory: Path) -> list[Migration]:
    """The migrations of a folder, in order. Raises `MigrationError` for a file whose name the CLI would not accept."""
    migrations = []
    for path in sorted(directory.glob("*.sql")):
        name = FILE_NAME.fullmatch(path.name)
        if name is None:
            raise MigrationError(f"{path.name} is not named <14 digits>_<name>.sql: rename it")
        statements = split(path.read_text(encoding="utf-8"))
        migrations.append(Migration(name["version"], name["name"], path, tuple(statements)))
    for earlier, later in itertools.pairwise(migrations):
        if earlier.version == later.version:
            raise MigrationError(f"{earlier.path.name} and {later.path.name} have one version: rename one")
    return migrations


def _apply_patiently(
    connection: psycopg.Connection[TupleRow], files: Sequence[Migration], deadline: float
) -> Migration | None:
    while True:
        try:
            return _apply_next(connection, files)
        except TableInUse as error:
            if time.monotonic() > deadline:
                raise MigrationError(
                    f"{error}; in transactions are: {_busy(connection)}. Nothing of it landed"
                ) from error
            time.sleep(random.uniform(0.5, 2.0))  # noqa: S311 -- not for secrets


def _busy(connection: psycopg.Connection[TupleRow]) -> str:
    """Who is in a transaction, and for how long."""
    found = connection.execute(LONGEST_TRANSACTIONS).fetchall()
    return ", ".join(f"{name or 'somebody'} for {seconds} s" for name, seconds in found) or "none"


def _apply_next(connection: psycopg.Connection[TupleRow], files: Sequence[Migration]) -> Migration | None:
    with connection.transaction():
        connection.execute(LOCK)
        todo = _pending(connection, files)
        if not todo:
            return None
        for statement in CREATE_HISTORY:
            try:
                connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege as error:
                raise MigrationError(f"migrations can't be recorded: {_said(error)}") from error
        migration = todo[0]
        connection.execute(SET_TABLE_WAIT, [TABLE_WAIT])
        for number, statement in enumerate(migration.statements, start=1):
            try:
                connection.execute(statement.encode())
            except psycopg.errors.LockNotAvailable as error:
                raise TableInUse(f"{migration.path.name} waits for a table that is in use all the time") from error
            except psycopg.Error as error:
                raise MigrationError(_failure(migration, number, statement, error)) from error
        connection.execute(RECORD, [migration.version, migration.name, list(migration.statements)])
    # what a migration set for the session must not reach the next one
    connection.execute("reset all")
    return migration


def _pending(connection: psycopg.Connection[TupleRow], files: Sequence[Migration]) -> list[Migration]:
    """Compares files with history; refuses what can't be brought into line by applying files."""
    landed = _history(connection)
    by_version = {migration.version: migration for migration in files}
    gone = [version for version in landed if version not in by_version]
    if gone:
        raise MigrationError(
            f"the database has migrations that no file has: {', '.join(gone)}. Bring the files back, or, if they were "
            f"undone by hand, run: supabase migration repair --status reverted {' '.join(gone)}"
        )
    for version, recorded in landed.items():
        # the CLI records no statements for a migration that was marked as applied by `migration repair`
        if recorded and tuple(recorded) != by_version[version].statements:
            raise MigrationError(
                f"{by_version[version].path.name} was edited after it had landed: restore it, and put the change into "
                "a new migration"
            )
    todo = [migration for migration in files if migration.version not in landed]
    newest = max(landed, default="")
    for migration in todo:
        if migration.version < newest:
            raise MigrationError(
                f"{migration.path.name} is dated before {newest}, which has landed: rename it to a later version"
            )
    if todo:
        _require_room(connection, todo)
    return todo


def _require_room(connection: psycopg.Connection[TupleRow], todo: Sequence[Migration]) -> None:
    """Refuses a database in which the role may not create schemas, or in which ours are somebody else's already."""
    who, where, may = connection.execute(MAY_CREATE).fetchone() or ("", "", False)
    if not may:
        raise MigrationError(
            f"the role {who} may not create schemas in the database {where}: connect as its owner, or run there: "
            f"grant create on database {where} to {who}"
        )
    wanted = [made[1] for one in todo for statement in one.statements if (made := NEW_SCHEMA.match(statement))]
    taken = [name for (name,) in connection.execute(SCHEMAS_THERE, [wanted])]
    if taken:
        raise MigrationError(
            f"the database {where} has a schema {', '.join(taken)} that no migration of masterops made: use a database "
            "of its own, or rename what is there"
        )


def _history(connection: psycopg.Connection[TupleRow]) -> dict[str, list[str] | None]:
    if connection.execute(HISTORY_EXISTS).fetchone() != (True,):
        return {}
    columns = {
        name
        for (name,) in connection.execute(
            "select attname from pg_attribute where attrelid = 'supabase_migrations.schema_migrations'::regclass"
        )
    }
    if "statements" not in columns:  # written by an early CLI, which kept versions only
        versions = connection.execute("select version from supabase_migrations.schema_migrations order by version")
        return {version: None for (version,) in versions}
    return dict(connection.execute(READ_HISTORY).fetchall())


def _require_supported(connection: psycopg.Connection[TupleRow]) -> None:
    major = connection.info.server_version // 10000
    if major < OLDEST_POSTGRES:
        raise MigrationError(f"PostgreSQL {OLDEST_POSTGRES} or later is needed; this server is {major}")


def _failure(migration: Migration, number: int, statement: str, error: psycopg.Error) -> str:
    lines = [_said(error), error.diag.message_detail, error.diag.message_hint]
    position = error.diag.statement_position
    if position is not None:
        line = statement[: int(position)].count("\n")
        lines.append(f"line {line + 1} of the statement: {statement.splitlines()[line].strip()}")
    elif error.diag.context is not None:
        lines.append(error.diag.context)
    said = "\n".join(line for line in lines if line)
    return f"{migration.path.name} failed at statement {number}: {said}"


def _said(error: psycopg.Error) -> str:
    """PostgreSQL's message, and what to do where the role lacks rights."""
    said = error.diag.message_primary or str(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"{said}: the role in SUPABASE_DB_URL must own the database and may need `createrole`"
    return said
