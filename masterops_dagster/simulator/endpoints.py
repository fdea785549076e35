"""Where the stand-ins answer and which credentials they accept: `world/endpoints.json`.

Credentials are made up once and kept, so that a restart of the world locks nobody out; the port may change.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from masterops_dagster.businesses import ACCOUNTS, Account

FILE_NAME = "endpoints.json"


def mount_path(account: Account) -> str:
    """The path under which an account is served: `/unleashed/teelixir`."""
    return "/" + "/".join(part for part in (account.system, account.business_key) if part)


def publish(world_dir: Path, origin: str, mail: tuple[str, int]) -> dict[str, dict[str, str]]:
    """Writes `{account key: {"base_url": …, <credential>: …}}` for `origin` (`http://127.0.0.1:8080`) and returns it.

    Besides the accounts there are `slack` (`webhook_url`, `bot_token`) and `email` (`host` and `port` as in `mail`,
    `user`, `password`): where what masterops sends arrives. The file has mode 0600 from its first byte and replaces
    its predecessor in one step. WooCommerce's `base_url` is the site's address, without `/wp-json/wc/v3`.
    """
    path = world_dir / FILE_NAME
    known = _known(path)
    entries = {
        account.key: {
            **_credentials(account.system),
            **known.get(account.key, {}),
            "base_url": origin + mount_path(account),
        }
        for account in ACCOUNTS
    }
    entries["slack"] = _slack(origin + "/slack", known.get("slack", {}))
    password = secrets.token_urlsafe(18)
    there = {"host": mail[0], "port": str(mail[1])}
    entries["email"] = {"user": "masterops", "password": password, **known.get("email", {}), **there}
    _replace(path, json.dumps(entries, indent=2) + "\n")
    return entries


def last_mail_port(world_dir: Path) -> int:
    """The port that the mail server had before; 0 if there was none."""
    return int(_known(world_dir / FILE_NAME).get("email", {}).get("port", 0))


def _known(path: Path) -> dict[str, dict[str, str]]:
    return json.loads(path.read_text()) if path.exists() else {}


def _slack(base_url: str, known: Mapping[str, str]) -> dict[str, str]:
    webhook = f"/T{secrets.token_hex(5)}/B{secrets.token_hex(5)}/{secrets.token_urlsafe(18)}".upper()
    if "webhook_url" in known:
        webhook = known["webhook_url"].partition("/services")[2]
    token = known.get("bot_token", f"xoxb-{secrets.token_hex(16)}")
    return {"base_url": base_url, "webhook_url": f"{base_url}/services{webhook}", "bot_token": token}


def _credentials(system: str) -> Mapping[str, str]:
    match system:
        case "hubspot":
            return {
                "access_token": f"pat-ap1-{uuid4()}",
                "client_id": str(uuid4()),
                "client_secret": str(uuid4()),
                "refresh_token": f"ap1-{secrets.token_hex(18)}",
            }
        case "shopify":
            return {
                "access_token": f"shpat_{secrets.token_hex(16)}",
                "client_id": secrets.token_hex(16),
                "client_secret": f"shpss_{secrets.token_hex(16)}",
            }
        case "unleashed":
            return {"api_id": str(uuid4()), "api_key": secrets.token_urlsafe(66)}
        case "woocommerce":
            return {
                "consumer_key": f"ck_{secrets.token_hex(20)}",
                "consumer_secret": f"cs_{secrets.token_hex(20)}",
            }
        case "bigcommerce":
            return {
                "store_hash": secrets.token_hex(5),
                "access_token": secrets.token_hex(16),
                "client_secret": secrets.token_hex(32),
            }
        case "n8n":
            return {"api_key": f"n8n_api_{secrets.token_hex(20)}"}
        case "supabase":
            return {
                "secret_key": f"sb_secret_{secrets.token_urlsafe(24)}",
                "publishable_key": f"sb_publishable_{secrets.token_urlsafe(24)}",
                "service_role_key": _jwt({"role": "service_role", "iss": "supabase"}),
            }
        case _:
            raise ValueError(f"no stand-in for {system}")


def _jwt(claims: Mapping[str, str]) -> str:
    """A token of the form of a JWT; the stand-in knows it by heart, so that nothing verifies its signature."""
    parts = (json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims))
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, secrets.token_urlsafe(32)))


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
