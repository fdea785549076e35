"""All stand-ins in one ASGI app: a mount per account, on one world."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from masterops_dagster.businesses import ACCOUNTS, Account
from masterops_dagster.simulator import limits
from masterops_dagster.simulator.bigcommerce import BigCommerceStandIn
from masterops_dagster.simulator.endpoints import mount_path
from masterops_dagster.simulator.hubspot import HubSpotStandIn
from masterops_dagster.simulator.mail import MailServer
from masterops_dagster.simulator.misbehaviour import Connections, FaultsInForce, Misbehaving
from masterops_dagster.simulator.n8n import N8NStandIn
from masterops_dagster.simulator.serving import Served, StandIn
from masterops_dagster.simulator.shopify import ShopifyStandIn
from masterops_dagster.simulator.slack import WORKSPACE, SlackStandIn
from masterops_dagster.simulator.supabase import SupabaseStandIn
from masterops_dagster.simulator.unleashed import UnleashedStandIn
from masterops_dagster.simulator.woocommerce import WooCommerceStandIn
from masterops_dagster.simulator.world.inbox import Inbox
from masterops_dagster.simulator.world.store import World

WORKERS = 4
"""Threads that read the world, each with its own connection: a long search doesn't hold up the others."""


def create_app(
    world: World, endpoints: Mapping[str, Mapping[str, str]], connections: Connections, mail: socket.socket
) -> Starlette:
    """Serves every account of `endpoints` from the world; limits and faults are read from its folder.

    What is sent to its Slack, and to its mail server on the listening socket `mail`, is kept in the world's inbox.
    """
    policies = limits.Policies(world.directory / limits.FILE_NAME)
    faults = FaultsInForce(world.directory)
    workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="stand-in")

    inbox = Inbox(world.directory)
    mail_server = MailServer(mail, endpoints["email"], inbox, faults)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await mail_server.start()
        yield
        await mail_server.close()
        workers.shutdown()

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "now": world.now().isoformat(timespec="milliseconds")})

    mounts = []
    for account in ACCOUNTS:
        if account.system not in {"bigcommerce", "hubspot", "n8n", "shopify", "supabase", "unleashed", "woocommerce"}:
            continue
        stand_in = _stand_in(account, world, endpoints[account.key], policies)
        served = Misbehaving(Served(stand_in, workers), account, faults, connections, stand_in.bodies)
        mounts.append(Mount(mount_path(account), served))
    slack = SlackStandIn(endpoints["slack"], inbox, policies)
    mounts.append(Mount("/slack", Misbehaving(Served(slack, workers), WORKSPACE, faults, connections, slack.bodies)))
    return Starlette(routes=[Route("/healthz", healthz), *mounts], lifespan=lifespan)


def _stand_in(account: Account, world: World, endpoint: Mapping[str, str], policies: limits.Policies) -> StandIn:
    match account.system:
        case "bigcommerce":
            return BigCommerceStandIn(account, world, endpoint, policies)
        case "hubspot":
            return HubSpotStandIn(account, world, endpoint, policies)
        case "n8n":
            return N8NStandIn(account, world, endpoint, policies)
        case "unleashed":
            return UnleashedStandIn(account, world, endpoint, policies)
        case "woocommerce":
            return WooCommerceStandIn(account, world, endpoint, policies)
        case "shopify":
            return ShopifyStandIn(account, world, endpoint, policies)
        case "supabase":
            return SupabaseStandIn(account, world, endpoint, policies)
        case _:
            raise ValueError(f"no stand-in for {account.system}")
