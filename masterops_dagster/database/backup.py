"""Backups of the embedded server: both databases and the roles in one archive, and a server made from one.

An archive is a zip file (uncompressed: the dumps are) of `globals.sql`, one `<database>.dump` in pg_dump's own format
each, and `manifest.json`, written last, with checksums and the row count of every table in the dump's snapshot. So an
archive that was cut off, damaged, or does not come back whole is told from a good one.

Each database is dumped from one snapshot, while others go on reading and writing; only what wants a table for itself
(dlt emptying its staging tables, dbt exchanging a table) waits until the dump is over. Dumps are what leads from one
major version of PostgreSQL to the next: an archive goes into a server of its own version or a later one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Literal

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow
from pydantic import AwareDatetime, BaseModel, ValidationError

from masterops_dagster.database import server
from masterops_dagster.database.connection import connect
from masterops_dagster.database.programs import Programs, programs
from masterops_dagster.database.server import DATABASES, SUPERUSER, Server

MANIFEST, GLOBALS = "manifest.json", "globals.sql"
LOCK_WAIT = "60s"
"""How long a dump waits for a table that somebody has to himself."""
UNDUMPED_ROWS = "raw_*_staging.*"
"""What dlt's last load left in its staging tables: it empties them before the next one."""

TABLES = """
select n.nspname, c.relname
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and n.nspname !~ '^raw_.*_staging$'
order by 1, 2
"""
MIGRATIONS = "select version from supabase_migrations.schema_migrations order by version"
HAS_MIGRATIONS = "select to_regclass('supabase_migrations.schema_migrations') is not null"

Said = Callable[[str], object]


class BackupFailed(RuntimeError):
    """A backup can't be taken, or an archive not be used; the message says why and what to do."""


class Dump(BaseModel):
    """One database of an archive. `tables` maps `schema.table` to its number of rows."""

    file: str
    sha256: str
    bytes: int
    tables: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


class Manifest(BaseModel):
    """What an archive holds. `migrations` are the versions that had landed in `masterops`."""

    format: Literal[1] = 1
    taken_at: AwareDatetime
    masterops: str
    postgres_major: int
    migrations: list[str]
    databases: dict[str, Dump]


def take(running: Server, archive: Path, say: Said = lambda _: None) -> Manifest:
    """Writes an archive of a running server to a path where nothing is yet, for the owner's eyes only.

    It has the name only once it is whole and was read again. Raises `BackupFailed`.
    """
    if archive.exists():
        raise BackupFailed(f"{archive} is there already: name another file, or move that one away")
    ours = programs(running.directory)
    partial = archive.with_name(f".{archive.name}.partial")
    archive.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    try:
        with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:  # noqa: PTH123
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as pieces:
                manifest = _write(running, ours, pieces, say)
            file.flush()
            os.fsync(file.fileno())
        check(partial)
        partial.rename(archive)
    except OSError as error:
        raise BackupFailed(f"{archive} can't be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def check(archive: Path) -> Manifest:
    """Reads an archive from end to end. Raises `BackupFailed` if it isn't whole."""
    try:
        with zipfile.ZipFile(archive) as pieces:
            manifest = Manifest.model_validate_json(pieces.read(MANIFEST))
            if set(manifest.databases) != set(DATABASES):
                raise BackupFailed(f"{archive} has not just the databases {', '.join(DATABASES)}")
            for name, dump in manifest.databases.items():
                digest = hashlib.sha256()
                with pieces.open(dump.file) as piece:
                    while block := piece.read(1 << 20):
                        digest.update(block)
                if digest.hexdigest() != dump.sha256:
                    raise BackupFailed(f"{archive} is damaged: the dump of {name} is not what was written")
    except FileNotFoundError:
        raise BackupFailed(f"there is no {archive}") from None
    except (zipfile.BadZipFile, KeyError, ValidationError, EOFError) as error:
        raise BackupFailed(f"{archive} is no backup of masterops, or was cut off: {_line(error)}") from error
    return manifest


def restore(archive: Path, directory: Path, *, bin_dir: Path | None = None, say: Said = lambda _: None) -> Manifest:
    """Makes a server's folder from an archive, in `directory`, which must not exist; it is not left running.

    Raises `BackupFailed`, also where a table came back with another number of rows, and `ServerFailed`. What was made
    until then is left for a look; nothing else is touched.
    """
    manifest = check(archive)
    if directory.exists():
        raise BackupFailed(f"{directory} is there already")
    ours = programs(directory, bin_dir)
    if ours.major() < manifest.postgres_major:
        raise BackupFailed(
            f"{archive} was made by PostgreSQL {manifest.postgres_major} and can't go into {ours.major()}: "
            f"name programs of {manifest.postgres_major} or later in MASTEROPS_POSTGRES_BIN_DIR"
        )
    running = server.start(directory, bin_dir=bin_dir)
    try:
        with zipfile.ZipFile(archive) as pieces:
            _make_roles(running, pieces.read(GLOBALS).decode())
            for name, dump in manifest.databases.items():
                say(f"restoring {name}: {dump.rows:,} rows")
                with pieces.open(dump.file) as piece:
                    _load(running, ours, name, piece)
                _verify(running, name, dump)
    finally:
        server.stop(directory)
    return manifest


# ---- taking


def _write(running: Server, ours: Programs, pieces: zipfile.ZipFile, say: Said) -> Manifest:
    taken_at = datetime.now(UTC)
    pieces.writestr(GLOBALS, _run(running, ours, "pg_dumpall", "--globals-only", "-d", _dsn("postgres", running)))
    dumps = {}
    for name in DATABASES:
        with _snapshot(running, name) as (connection, snapshot):
            tables = _counts(connection)
            say(f"dumping {name}: {sum(tables.values()):,} rows in {len(tables)} tables")
            options = (f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}", "--format=custom")
            excluded = f"--exclude-table-data={UNDUMPED_ROWS}"
            digest, size = hashlib.sha256(), 0
            with (
                pieces.open(f"{name}.dump", "w", force_zip64=True) as piece,
                _pipe(running, ours, "pg_dump", *options, excluded, "-d", _dsn(name, running)) as output,
            ):
                while block := output.read(1 << 20):
                    piece.write(block)
                    digest.update(block)
                    size += len(block)
        dumps[name] = Dump(file=f"{name}.dump", sha256=digest.hexdigest(), bytes=size, tables=tables)
    manifest = Manifest(
        taken_at=taken_at,
        masterops=version("masterops"),
        postgres_major=ours.major(),
        migrations=_migrations(running),
        databases=dumps,
    )
    pieces.writestr(MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=2))
    return manifest


@contextmanager
def _snapshot(running: Server, name: str) -> Iterator[tuple[psycopg.Connection[TupleRow], str]]:
    """A transaction whose view of the database others can share."""
    with connect(running.url_of(name), application_name="masterops backup") as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        row = connection.execute("select pg_export_snapshot()").fetchone()
        assert row is not None
        yield connection, str(row[0])


def _counts(connection: psycopg.Connection[TupleRow]) -> dict[str, int]:
    found = {}
    for schema, table in connection.execute(TABLES).fetchall():
        count = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))).fetchone()
        assert count is not None
        found[f"{schema}.{table}"] = int(count[0])
    return found


def _migrations(running: Server) -> list[str]:
    with connect(running.url) as connection:
        if connection.execute(HAS_MIGRATIONS).fetchone() != (True,):
            return []
        return [landed for (landed,) in connection.execute(MIGRATIONS)]


# ---- restoring


def _make_roles(running: Server, script: str) -> None:
    """The roles of the archive that this server lacks, and what they may do; pg_dumpall writes one statement a line.

    The superuser keeps the password that this server was made with.
    """
    with connect(running.url_of("postgres")) as connection:
        known = {name for (name,) in connection.execute("select quote_ident(rolname) from pg_roles")}
        for line in script.splitlines():
            words = line.rstrip(";").split()
            if line.startswith(("--", "\\", "SET ")) or not words:
                continue
            concerned = words[2] if words[:2] in (["CREATE", "ROLE"], ["ALTER", "ROLE"]) else ""
            if concerned == SUPERUSER or (words[0] == "CREATE" and concerned in known):
                continue
            connection.execute(line.encode())


def _load(running: Server, ours: Programs, name: str, piece: IO[bytes]) -> None:
    command = ours.argv("pg_restore", "--exit-on-error", "-d", _dsn(name, running))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, env=_environment(running))
        assert process.stdin is not None
        try:
            with process.stdin as pipe:
                shutil.copyfileobj(piece, pipe, 1 << 20)
        except BrokenPipeError:
            pass  # it ended early, and says why
        _require_success(process.wait(), f"pg_restore of {name}", said)
    with connect(running.url_of(name)) as connection:
        connection.execute("analyze")


def _verify(running: Server, name: str, dump: Dump) -> None:
    with connect(running.url_of(name)) as connection:
        found = _counts(connection)
    off = [
        f"{table}: {found.get(table, 0)} instead of {rows}"
        for table, rows in dump.tables.items()
        if found.get(table) != rows
    ]
    if off:
        raise BackupFailed(f"{name} did not come back whole: {'; '.join(off[:5])}")


# ---- programs


def _dsn(name: str, running: Server) -> str:
    return f"host=127.0.0.1 port={running.port} user={SUPERUSER} dbname={name}"


def _environment(running: Server) -> dict[str, str]:
    """The password is in no command line."""
    return {**os.environ, "PGPASSWORD": running.password}


def _run(running: Server, ours: Programs, program: str, *arguments: str) -> bytes:
    with _pipe(running, ours, program, *arguments) as output:
        return output.read()


@contextmanager
def _pipe(running: Server, ours: Programs, program: str, *arguments: str) -> Iterator[IO[bytes]]:
    """What a program writes to its standard output. Raises `BackupFailed` with its last words."""
    with tempfile.TemporaryFile() as said:
        command: Sequence[str] = ours.argv(program, *arguments)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=_environment(running))
        assert process.stdout is not None
        try:
            with process.stdout as output:
                yield output
        except BaseException:
            process.kill()
            process.wait()
            raise
        _require_success(process.wait(), program, said)


def _require_success(code: int, what: str, said: IO[bytes]) -> None:
    if code:
        said.seek(0)
        raise BackupFailed(f"{what} failed: {said.read().decode(errors='replace').strip()[-2000:]}")


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
