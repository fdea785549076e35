"""Which errors a person sees as one clear line, and the exit code that goes with them; any other one is a defect."""

from __future__ import annotations

import re


class Problem(Exception):
    """Something that stands in the way; the message says what it is and what to do."""


class NotRunning(Problem):
    """The platform isn't up, and the command starts nothing by itself."""

    def __init__(self, what: str = "masterops is not running") -> None:
        super().__init__(f"{what}: start it with `make up`")


class BadInput(Problem):
    """The command was given something that it can't work with; exit code 2."""


class RunFailed(Problem):
    """A run that was waited for did not succeed."""


def known_errors() -> tuple[type[Exception], ...]:
    """The errors whose message is meant for a person. Imported only once one has been raised."""
    import psycopg
    import pydantic
    from pydantic_settings import SettingsError

    from masterops_dagster.connectors.errors import ConnectorError
    from masterops_dagster.database.backup import BackupFailed
    from masterops_dagster.database.connection import DatabaseUnavailable
    from masterops_dagster.database.migrations import MigrationError
    from masterops_dagster.database.server import ServerFailed
    from masterops_dagster.settings import MissingCredential
    from masterops_dagster.sources.errors import LoadProblem

    return (
        Problem,
        BackupFailed,
        ConnectorError,
        DatabaseUnavailable,
        LoadProblem,
        MigrationError,
        MissingCredential,
        ServerFailed,
        SettingsError,
        psycopg.OperationalError,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.InvalidCatalogName,
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.UndefinedTable,
        pydantic.ValidationError,
    )


def described(error: Exception) -> str:
    """The line that a person reads. A settings error names the variables."""
    import psycopg
    import pydantic
    from pydantic_settings import SettingsError

    if isinstance(error, psycopg.Error):
        return _refused(error)
    if isinstance(error, SettingsError):
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"MASTEROPS_{named[1].upper()}" if named else "a variable"
        return f'settings are wrong: {variable} is no JSON; write it as {{"api_metrics": 30}}'
    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    wrong = []
    for item in error.errors(include_url=False):
        field = "_".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if field.isupper():  # the database URLs and credentials, which are secrets
            wrong.append(f"{field}: {message}")
        else:
            wrong.append(f"MASTEROPS_{field.upper()} is {item['input']!r}: {message}")
    return "settings are wrong: " + "; ".join(wrong)


def _refused(error: Exception) -> str:
    """What PostgreSQL said, and what that usually means here."""
    import psycopg

    said = str(error).strip().partition("\n")[0]
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"the database refuses: {said}. Connect as the role that applied the migrations, or grant it its rights"
    if isinstance(error, psycopg.OperationalError):
        return f"the database went away: {said}. `masterops status` shows whether it runs"
    return f"the database lacks something of masterops: {said}. `make up` applies the migrations"
