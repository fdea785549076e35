"""An account's settings and credentials make its connector."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.connectors.auth import BearerToken, ClientCredentials, HeaderKey, OAuthRefresh
from masterops_dagster.connectors.bigcommerce import BigCommerce
from masterops_dagster.connectors.budget import Bucket, Window
from masterops_dagster.connectors.hubspot import HubSpot
from masterops_dagster.connectors.n8n import N8N
from masterops_dagster.connectors.registry import open_connector, process_budget
from masterops_dagster.connectors.shopify import Shopify
from masterops_dagster.connectors.supabase import Supabase
from masterops_dagster.connectors.unleashed import Unleashed
from masterops_dagster.connectors.woocommerce import WooCommerce
from masterops_dagster.settings import CREDENTIALS, AccountAccess, MissingCredential, Settings


def access(account: Account, names: tuple[str, ...], base_url: str = "https://example.com") -> AccountAccess:
    secrets = {name: SecretStr("x") for name in names}
    return AccountAccess(account, base_url, simulated=False, secrets=secrets)


@pytest.mark.parametrize("account", ACCOUNTS, ids=lambda account: account.key)
def test_every_account_has_a_connector(account: Account) -> None:
    kinds = {
        "bigcommerce": BigCommerce,
        "hubspot": HubSpot,
        "n8n": N8N,
        "shopify": Shopify,
        "supabase": Supabase,
        "unleashed": Unleashed,
        "woocommerce": WooCommerce,
    }
    for names in CREDENTIALS[account.system]:
        with open_connector(access(account, names), Settings()) as connector:
            assert type(connector) is kinds[account.system]
            assert connector.account == account.key
            assert connector.system == account.system


def test_the_limits_are_settings() -> None:
    settings = Settings(unleashed_requests_per_5_minutes=7, unleashed_page_size=9, woocommerce_requests_per_second=3)
    with open_connector(access(Account("unleashed", "teelixir"), ("api_id", "api_key")), settings) as unleashed:
        assert isinstance(unleashed, Unleashed)
        assert [(window.limit, window.seconds) for window in unleashed.windows] == [(7, 300.0)]
        assert unleashed.page_size == 9
    shop = access(Account("woocommerce", "red_hill_fresh"), ("consumer_key", "consumer_secret"))
    with open_connector(shop, settings) as woocommerce:
        assert [(window.limit, window.seconds) for window in woocommerce.windows] == [(3, 1.0)]
    store = access(Account("bigcommerce", "buy_organics_online"), ("store_hash", "access_token"))
    with open_connector(store, Settings(bigcommerce_requests_per_30_seconds=11)) as bigcommerce:
        assert isinstance(bigcommerce, BigCommerce)
        assert bigcommerce.windows == (Window("30s", 11, 30.0),)


def test_shopify_takes_a_token_or_an_apps_own_credentials() -> None:
    from masterops_dagster.connectors.registry import _shopify_auth

    account = Account("shopify", "teelixir")
    assert isinstance(_shopify_auth(access(account, ("base_url", "access_token", "client_secret"))), HeaderKey)
    assert isinstance(_shopify_auth(access(account, ("base_url", "client_id", "client_secret"))), ClientCredentials)
    with open_connector(access(account, ("base_url", "access_token")), Settings(shopify_points_per_second=7)) as store:
        (bucket,) = store.windows
        assert isinstance(bucket, Bucket)
        assert (bucket.limit, bucket.per_second) == (140, 7.0)


def test_patience_is_a_setting() -> None:
    settings = Settings(request_timeout_seconds=3, request_deadline_seconds=11)
    with open_connector(access(Account("hubspot"), ("access_token",)), settings) as connector:
        assert (connector.patience.timeout, connector.patience.deadline) == (3, 11)


def test_hubspot_takes_a_key_or_oauth() -> None:
    from masterops_dagster.connectors.registry import _hubspot_auth

    oauth = access(Account("hubspot"), ("client_id", "client_secret", "refresh_token"))
    assert isinstance(_hubspot_auth(oauth), OAuthRefresh)
    assert isinstance(_hubspot_auth(access(Account("hubspot"), ("access_token", "client_secret"))), BearerToken)


def test_a_missing_credential_names_its_variable() -> None:
    with pytest.raises(MissingCredential, match="UNLEASHED_TEELIXIR_API_KEY"):
        open_connector(access(Account("unleashed", "teelixir"), ("api_id",)), Settings())


def test_a_system_without_a_connector_is_named() -> None:
    with pytest.raises(ValueError, match="fax"):
        open_connector(access(Account("fax"), ()), Settings())


def test_the_threads_of_a_process_share_one_budget() -> None:
    assert process_budget() is process_budget()
