"""Which errors a person sees as one clear line, and the exit code that goes with them; any other one is a defect."""

from __future__ import annotations


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
    import pydantic

    from masterops_dagster.connectors.errors import ConnectorError
    from masterops_dagster.database.backup import BackupFailed
    from masterops_dagster.database.connection import DatabaseUnavailable
    from masterops_dagster.database.migrations import MigrationError
    from masterops_dagster.database.server import ServerFailed
    from masterops_dagster.settings import MissingCredential

    return (
        Problem,
        BackupFailed,
        ConnectorError,
        DatabaseUnavailable,
        MigrationError,
        MissingCredential,
        ServerFailed,
        pydantic.ValidationError,
    )


def described(error: Exception) -> str:
    """The line that a person reads. A settings error names the variables."""
    import pydantic

    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    wrong = []
    for item in error.errors(include_url=False, include_input=False):
        field = "_".join(str(part) for part in item["loc"])
        name = field if field.isupper() else f"MASTEROPS_{field}".upper()
        wrong.append(f"{name}: {item['msg']}")
    return "settings are wrong: " + "; ".join(wrong)
