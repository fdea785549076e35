"""The routes of the status page. Everything but an incident and the metrics comes from the shared look at the database.

Outsiders are given `/public` and `/static` only, by whatever stands before this program.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from masterops_dagster.api import pages, runbooks
from masterops_dagster.api.connections import Connections
from masterops_dagster.api.facts import gather_incident
from masterops_dagster.api.live import EVERY, Body, Live
from masterops_dagster.database.connection import DatabaseUnavailable

HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
READ = ["GET", "HEAD"]


def create_app(url: str | None = None, *, every: float = EVERY) -> FastAPI:
    """The page of the database, or of the one at `url`; it is looked at every so many seconds."""
    connections = Connections(url)
    live = Live(connections, {"status": pages.status, "public": pages.status_public}, every)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with live.looking():
            yield

    app = FastAPI(title="masterops", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(Secured)
    _live_routes(app, live)
    _detail_routes(app, connections)
    _machine_routes(app, live, connections)
    _static_route(app)

    @app.exception_handler(AnyHTTPException)
    async def refused(request: Request, error: AnyHTTPException) -> Response:
        if error.status_code == 404:
            return HTMLResponse(pages.problem("There is no such page", "The address may be misspelt."), 404)
        return HTMLResponse(pages.problem("That can’t be done here", str(error.detail)), error.status_code)

    @app.exception_handler(DatabaseUnavailable)
    async def unreachable(request: Request, error: DatabaseUnavailable) -> Response:
        text = "What is asked for is kept in the database. The status page shows what was known before."
        return HTMLResponse(pages.problem("The database can’t be reached", text), 503)

    return app


class Secured:
    """Sends the security headers with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self._app(scope, receive, secured)


def _live_routes(app: FastAPI, live: Live) -> None:
    """`/` and `/public`, each with the part that changes and the stream that tells of changes."""

    async def page(request: Request, name: str) -> Response:
        face = await live.face(name)
        return _answer(request, face.page, HTML, await _status(live))

    async def state(request: Request, name: str) -> Response:
        face = await live.face(name)
        return _answer(request, face.state, HTML, 200)

    async def events(name: str, seen: str) -> Response:
        async def told() -> AsyncIterator[str]:
            yield "retry: 3000\n\n"
            async for version, known in live.versions(name, seen):
                at = known.board.at if known.board else known.at
                yield f"data: {version} {pages.second(at)}\n\n"

        return StreamingResponse(told(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @app.api_route("/", methods=READ)
    async def status_page(request: Request) -> Response:
        return await page(request, "status")

    @app.api_route("/state", methods=READ)
    async def status_state(request: Request) -> Response:
        return await state(request, "status")

    @app.get("/events")
    async def status_events(seen: str = "") -> Response:
        return await events("status", seen)

    @app.api_route("/public", methods=READ)
    async def public_page(request: Request) -> Response:
        return await page(request, "public")

    @app.api_route("/public/state", methods=READ)
    async def public_state(request: Request) -> Response:
        return await state(request, "public")

    @app.get("/public/events")
    async def public_events(seen: str = "") -> Response:
        return await events("public", seen)


def _detail_routes(app: FastAPI, connections: Connections) -> None:
    @app.api_route("/incidents/{incident_id}", methods=READ)
    async def incident(incident_id: str) -> Response:
        try:
            wanted = UUID(incident_id)
        except ValueError as error:
            raise HTTPException(404) from error
        at = datetime.now(UTC)

        def read() -> str | None:
            with connections.reading() as connection:
                found = gather_incident(connection, wanted, at)
            return pages.incident(found, at) if found else None

        page = await asyncio.to_thread(read)
        if page is None:
            raise HTTPException(404)
        return HTMLResponse(page)

    @app.api_route("/runbooks", methods=READ)
    async def all_runbooks() -> Response:
        return HTMLResponse(pages.render("runbooks.html", rule_ids=runbooks.rule_ids()))

    @app.api_route("/runbooks/{rule_id}", methods=READ)
    async def runbook(rule_id: str) -> Response:
        html = runbooks.runbook(rule_id)
        if html is None:
            raise HTTPException(404)
        return HTMLResponse(pages.runbook(rule_id, html))


def _machine_routes(app: FastAPI, live: Live, connections: Connections) -> None:
    @app.api_route("/status.json", methods=READ)
    async def status_json() -> Response:
        known = await live.known()
        board = asdict(known.board) if known.board else None
        for group in board["groups"] if board else ():
            for row in group["rows"]:
                del row["days"], row["trend"]
        content = {"reachable": known.problem is None, "looked_at": known.at, "board": board}
        text = json.dumps(content, default=_plain)
        return Response(text, await _status(live), media_type="application/json")

    @app.api_route("/healthz", methods=READ)
    async def healthz() -> Response:
        """200 as long as the page itself works; the body says whether the database does."""
        known = await live.known()
        database = "reachable" if known.problem is None and known.board else "unreachable"
        return Response(json.dumps({"status": "ok", "database": database}), media_type="application/json")

    @app.api_route("/metrics", methods=READ)
    async def metrics() -> Response:
        from masterops_dagster.observability.prometheus import exposition

        def read() -> bytes:
            with connections.one() as connection:
                return exposition(connection, datetime.now(UTC))

        return Response(await asyncio.to_thread(read), media_type=PROMETHEUS)


def _static_route(app: FastAPI) -> None:
    files: Mapping[str, tuple[Body, str]] = {
        path.name: (Body.of(path.read_text()), TYPES[path.suffix]) for path in sorted(pages.STATIC.iterdir())
    }

    @app.api_route("/static/{name}", methods=READ)
    async def static(request: Request, name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        body, kind = files[name]
        answer = _answer(request, body, kind, 200)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


async def _status(live: Live) -> int:
    known = await live.known()
    return 200 if known.board and known.problem is None else 503


def _answer(request: Request, body: Body, kind: str, status: int) -> Response:
    """Compressed where that is understood; not at all where the viewer has it already."""
    headers = {"ETag": f'"{body.tag}"', "Vary": "Accept-Encoding"}
    if status == 200 and request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(body.packed, status, {**headers, "Content-Encoding": "gzip"}, kind)
    return Response(body.plain, status, headers, kind)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else str(value)
