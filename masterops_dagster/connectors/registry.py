"""From an account to its connector: which class, which credentials, which limits.

with open_connector(settings().access(account), settings(), budget, sink) as connector: ...
"""

from __future__ import annotations

from functools import cache

import httpx

from masterops_dagster.connectors.auth import BearerToken
from masterops_dagster.connectors.base import Options, Patience
from masterops_dagster.connectors.bigcommerce import BigCommerce
from masterops_dagster.connectors.budget import Bucket, Budget, InMemoryBudget, Window
from masterops_dagster.connectors.hubspot import HubSpot, oauth
from masterops_dagster.connectors.n8n import N8N
from masterops_dagster.connectors.shopify import Shopify, access_token, client_credentials
from masterops_dagster.connectors.supabase import Supabase
from masterops_dagster.connectors.telemetry import TelemetrySink
from masterops_dagster.connectors.unleashed import Unleashed
from masterops_dagster.connectors.woocommerce import WooCommerce
from masterops_dagster.settings import AccountAccess, Settings

AnyConnector = BigCommerce | HubSpot | N8N | Shopify | Supabase | Unleashed | WooCommerce


@cache
def process_budget() -> Budget:
    """The budget of this process, for when no shared one is handed in."""
    return InMemoryBudget()


def open_connector(
    access: AccountAccess,
    settings: Settings,
    budget: Budget | None = None,
    sink: TelemetrySink | None = None,
) -> AnyConnector:
    """The connector of an account, to be closed by the caller. No request is sent yet.

    Without a `budget` the threads of this process share one; other processes don't know of it. Raises
    `MissingCredential` naming the variable, `ValueError` for a system that has no connector.
    """
    account = access.account
    options: Options = {
        "budget": budget or process_budget(),
        "sink": sink,
        "patience": Patience(timeout=settings.request_timeout_seconds, deadline=settings.request_deadline_seconds),
    }
    match account.system:
        case "bigcommerce":
            return BigCommerce(
                access.base_url,
                account.key,
                access.secret("store_hash"),
                access.secret("access_token"),
                window=Window("30s", settings.bigcommerce_requests_per_30_seconds, 30.0),
                **options,
            )
        case "hubspot":
            return HubSpot(
                access.base_url,
                account.key,
                _hubspot_auth(access),
                api_version=settings.hubspot_api_version,
                requests_per_10_seconds=settings.hubspot_requests_per_10_seconds,
                search_requests_per_second=settings.hubspot_search_requests_per_second,
                requests_per_day=settings.hubspot_requests_per_day,
                **options,
            )
        case "n8n":
            return N8N(
                access.base_url,
                account.key,
                access.secret("api_key"),
                window=Window("1s", settings.n8n_requests_per_second, 1.0),
                **options,
            )
        case "shopify":
            # a full bucket holds what flows back in 20 seconds, on every plan; the answers say so themselves
            rate = settings.shopify_points_per_second
            return Shopify(
                access.base_url,
                account.key,
                _shopify_auth(access),
                api_version=settings.shopify_api_version,
                bucket=Bucket("points", 20 * rate, float(rate)),
                **options,
            )
        case "unleashed":
            return Unleashed(
                access.base_url,
                account.key,
                access.secret("api_id"),
                access.secret("api_key"),
                client_type=f"{account.business_key}/masterops",
                page_size=settings.unleashed_page_size,
                window=Window("5min", settings.unleashed_requests_per_5_minutes, 300.0),
                **options,
            )
        case "woocommerce":
            return WooCommerce(
                access.base_url,
                account.key,
                access.secret("consumer_key"),
                access.secret("consumer_secret"),
                window=Window("1s", settings.woocommerce_requests_per_second, 1.0),
                **options,
            )
        case "supabase":
            return Supabase(
                access.base_url,
                account.key,
                access.secret("secret_key" if "secret_key" in access.secrets else "service_role_key"),
                window=Window("1s", settings.supabase_requests_per_second, 1.0),
                **options,
            )
    raise ValueError(f"there is no connector for {account.system!r}")


def _hubspot_auth(access: AccountAccess) -> httpx.Auth:
    """A service key or private app token if there is one, else OAuth with the app's refresh token."""
    if "access_token" in access.secrets:
        return BearerToken(access.secret("access_token"))
    return oauth(
        access.base_url, access.secret("client_id"), access.secret("client_secret"), access.secret("refresh_token")
    )


def _shopify_auth(access: AccountAccess) -> httpx.Auth:
    """A custom app's token if there is one, else an app's own credentials."""
    if "access_token" in access.secrets:
        return access_token(access.secret("access_token"))
    return client_credentials(access.base_url, access.secret("client_id"), access.secret("client_secret"))
