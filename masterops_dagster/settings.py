"""The one place that reads the environment. Every setting is listed, with its default, in `.env.example`.

`local` (the default) may use the embedded PostgreSQL and the stand-in world; `staging` and `production` may not:
there a missing credential is an error that names the variable.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from masterops_dagster.businesses import ACCOUNTS, Account

PROJECT_ROOT = Path(__file__).resolve().parent.parent

CREDENTIALS: dict[str, tuple[tuple[str, ...], ...]] = {
    "hubspot": (("access_token",), ("client_id", "client_secret", "refresh_token")),
    "shopify": (("base_url", "access_token"), ("base_url", "client_id", "client_secret")),
    "unleashed": (("api_id", "api_key"),),
    "bigcommerce": (("store_hash", "access_token"),),
    "woocommerce": (("base_url", "consumer_key", "consumer_secret"),),
    "n8n": (("base_url", "api_key"),),
    "supabase": (("base_url", "secret_key"), ("base_url", "service_role_key")),
}
"""The sets of credentials that a system accepts, the first one preferred. Each is the end of an environment
variable's name: `UNLEASHED_TEELIXIR_API_ID`."""

BASE_URLS: dict[str, str] = {
    "hubspot": "https://api.hubapi.com",
    "unleashed": "https://api.unleashedsoftware.com",
    "bigcommerce": "https://api.bigcommerce.com",
}
"""Where each system lives, if all its accounts share a host; `<ACCOUNT>_BASE_URL` overrides it."""


class MissingCredential(LookupError):
    """An account can't be reached because variables are not set; the message names them."""


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """How to reach one account. `simulated` says that the stand-in world answers there, not the system itself."""

    account: Account
    base_url: str
    simulated: bool
    secrets: Mapping[str, SecretStr] = field(repr=False)

    def secret(self, name: str) -> str:
        """The value of one credential. Raises `MissingCredential` naming its variable."""
        if name not in self.secrets:
            raise MissingCredential(f"{_variable(self.account, name)} is not set")
        return self.secrets[name].get_secret_value()


class _AccountVariables(PydanticBaseSettingsSource):
    """Collects `<ACCOUNT>_<CREDENTIAL>` variables, from the process and `.env`, into `Settings.accounts`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        env_file = self.config.get("env_file")
        variables: dict[str, str | None] = dict(dotenv_values(str(env_file))) if env_file else {}
        variables.update(os.environ)
        accounts: dict[str, dict[str, str]] = {}
        for account in ACCOUNTS:
            names = {name for accepted in CREDENTIALS[account.system] for name in accepted} | {
                "base_url",
                "client_secret",
            }
            found = {name: value for name in names if (value := variables.get(_variable(account, name)))}
            if found:
                accounts[account.key] = found
        return {"accounts": accounts}


class Settings(BaseSettings):
    """All settings. Environment variables carry the prefix `MASTEROPS_`, except where an alias is given."""

    model_config = SettingsConfigDict(
        env_prefix="MASTEROPS_", env_file=PROJECT_ROOT / ".env", extra="ignore", frozen=True
    )

    env: Literal["local", "staging", "production"] = "local"
    state_dir: Path = PROJECT_ROOT / ".masterops"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"

    supabase_db_url: SecretStr | None = Field(None, validation_alias=AliasChoices("SUPABASE_DB_URL"))
    dagster_db_url: SecretStr | None = Field(None, validation_alias=AliasChoices("DAGSTER_DB_URL"))
    postgres_bin_dir: Path | None = None
    database_pool_size: int = Field(4, ge=1, le=50)

    webserver_port: int = Field(3000, ge=0, le=65535)
    """Where `masterops up` would like the Dagster UI; if it is taken the next free one is used and printed."""

    hubspot_api_version: str = "2026-09"
    hubspot_requests_per_10_seconds: int = Field(100, ge=1)
    hubspot_search_requests_per_second: int = Field(5, ge=1)
    hubspot_requests_per_day: int = Field(250_000, ge=1)
    unleashed_requests_per_5_minutes: int = Field(300, ge=1)
    unleashed_page_size: int = Field(500, ge=1, le=1000)
    woocommerce_requests_per_second: int = Field(10, ge=1)
    shopify_api_version: str = "2026-10"
    shopify_points_per_second: int = Field(100, ge=1)
    """How fast the query cost budget refills; the shop's plan decides, and each answer says so."""
    bigcommerce_requests_per_30_seconds: int = Field(150, ge=1)
    n8n_requests_per_second: int = Field(10, ge=1)
    supabase_requests_per_second: int = Field(20, ge=1)

    history_start: date = date(2025, 7, 1)
    """The first day that can be backfilled; a first load reads everything, however old."""
    development_server: bool = Field(False, validation_alias=AliasChoices("DAGSTER_IS_DEV_CLI"))
    """Set by `dagster dev` and `dg dev`: schedules then start stopped, since `masterops up` has its own daemon."""

    cursor_overlap_minutes: int = Field(10, ge=0)
    """How far a live run reads back behind its cursor: search indexes lag, clocks differ, rows commit late."""
    deletions_held_percent: float = Field(20.0, ge=0, le=100)
    """If a system says that more of a stream's rows are gone than this, nothing is marked until a person agrees."""
    deletions_held_rows: int = Field(50, ge=1)
    """Fewer rows than these may always go: small tables change by large shares."""
    request_timeout_seconds: float = Field(30.0, gt=0)
    request_deadline_seconds: float = Field(600.0, gt=0)
    """How long one request may take in all, waiting for budget and retries included; Unleashed's window is 300 s."""
    max_run_minutes: int = Field(120, ge=1)
    dagster_event_retention_days: int = Field(30, ge=1)
    stock_snapshot_daily_days: int = Field(400, ge=7)
    """For so long every day of a stock snapshot stays in the raw tables, then the ends of months."""
    deleted_row_retention_days: int = Field(400, ge=7)
    """For so long a raw row stays after its system deleted it."""
    resolved_dead_letter_retention_days: int = Field(90, ge=1)
    telemetry_retention_days: int = Field(90, ge=1)
    """How long telemetry stays: logs, request metrics, executions, results of health checks, reconciliations."""
    telemetry_error_retention_days: int = Field(400, ge=1)
    """How long what tells of an error stays, and alerts, incidents and notifications."""
    telemetry_retention_by_table: dict[str, int] = Field(default_factory=dict)
    """Days for single tables: `{"api_metrics": 30, "integration_logs_errors": 800}`."""
    run_file_retention_days: int = Field(14, ge=1)
    """How long the logs and dbt artifacts of a run stay."""
    free_disk_percent: float = Field(1.0, ge=0, le=100)
    free_disk_gib: float = Field(1.0, ge=0)
    """No load goes on while the state folder's disk has less free than this share of it, or than this size."""

    status_page_port: int = Field(3080, ge=0, le=65535)
    """Where `masterops up` would like the status page; the next free port if it is taken."""
    status_url: str | None = None
    """Where people reach the status page, for links in alerts; in `local` where `up` runs it."""
    dagster_url: str | None = None
    """Where people reach the Dagster UI, for links in alerts; in `local` where `up` runs it."""
    heartbeat_url: SecretStr | None = None
    """Asked every minute while all is watched: whoever answers there raises the alarm if it stays silent."""
    otlp_endpoint: str | None = Field(None, validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT"))
    """Where traces and metrics are exported to; without it there are none."""

    slack_webhook_url: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    """With a token messages go to the channel that a contact names, with a webhook to the webhook's own."""
    smtp_host: str | None = None
    smtp_port: int = Field(587, ge=1, le=65535)
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = True
    smtp_from: str = "masterops@localhost"
    alert_webhook_url: SecretStr | None = None
    """Gets every notification as JSON, such as a webhook node of n8n."""

    accounts: dict[str, dict[str, SecretStr]] = Field(default_factory=dict)

    @field_validator("heartbeat_url", "slack_webhook_url", "slack_bot_token", "smtp_password", "alert_webhook_url")
    @classmethod
    def _empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value() else None

    @field_validator("status_url", "dagster_url", "otlp_endpoint", "smtp_host", "smtp_user")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @field_validator("supabase_db_url", "dagster_db_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith("postgresql://"):
            raise ValueError("must be written as postgresql://user:password@host:5432/database")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _AccountVariables(settings_cls), env_settings, dotenv_settings

    # ---- places under the state folder

    @property
    def clock_file(self) -> Path:
        """`{"offset_seconds": float}`, written by `masterops world new-day`; absent means no offset."""
        return self.state_dir / "world" / "clock.json"

    @property
    def world_endpoints_file(self) -> Path:
        """`{account key: {"base_url": …, <credential>: …}}`, mode 0600, written by the stand-in world at its start."""
        return self.state_dir / "world" / "endpoints.json"

    @property
    def postgres_dir(self) -> Path:
        """Data folder, password and port of the embedded server."""
        return self.state_dir / "postgres"

    @property
    def embedded_database(self) -> bool:
        """Whether the embedded server is used; never true outside `local`."""
        return self.supabase_db_url is None and self.env == "local"

    # ---- accounts

    def access(self, account: Account) -> AccountAccess:
        """How to reach the account: by its own credentials, else, in `local`, the stand-in world.

        Raises `MissingCredential`, naming the variables, where neither is there.
        """
        given = self.accounts.get(account.key, {})
        for accepted in CREDENTIALS[account.system]:
            if all(name in given for name in accepted):
                base_url = given["base_url"].get_secret_value() if "base_url" in given else BASE_URLS[account.system]
                return AccountAccess(account, base_url, simulated=False, secrets=given)
        if self.env == "local" and not given and self.world_endpoints_file.exists():
            stand_in: dict[str, str] | None = json.loads(self.world_endpoints_file.read_text()).get(account.key)
            if stand_in is not None:
                secrets = {name: SecretStr(value) for name, value in stand_in.items()}
                return AccountAccess(account, stand_in["base_url"], simulated=True, secrets=secrets)
        wanted = " or ".join(
            ", ".join(_variable(account, name) for name in accepted) for accepted in CREDENTIALS[account.system]
        )
        hint = (
            "; without any of them the stand-in world would answer, once `make up` runs" if self.env == "local" else ""
        )
        raise MissingCredential(f"account {account.key} has no credentials: set {wanted}{hint}")


def _variable(account: Account, name: str) -> str:
    return f"{account.key}_{name}".upper()


@cache
def settings() -> Settings:
    """The settings of this process, read once; `settings.cache_clear()` reads them anew."""
    return Settings()
