"""Supabase's stand-in: REST over two tables, Storage in files, Auth's users; all in `world/supabase/`.

It knows as much of PostgREST as a client meets: `select`, `order`, `limit`, `offset`, `Range`, the usual filters,
`Prefer` (`count`, `return`, `resolution`), at most `MAX_ROWS` rows an answer. The secret key and the old
`service_role` JWT may do everything; the publishable key may do nothing here, row level security being on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import uuid4

import msgspec
from starlette.responses import Response

from masterops_dagster.businesses import Account
from masterops_dagster.simulator.limits import Meter, Policies, Refusal
from masterops_dagster.simulator.misbehaviour import ErrorBodies
from masterops_dagster.simulator.replies import json_reply
from masterops_dagster.simulator.serving import Call, Routes
from masterops_dagster.simulator.world.store import World

MAX_ROWS = 1000
DEFAULT_OBJECTS, DEFAULT_USERS = 100, 50

TABLES: Mapping[str, Mapping[str, str]] = {
    "reports": {"id": "integer", "title": "text", "business": "text", "body": "json", "created_at": "text"},
    "preferences": {"name": "text", "value": "json", "updated_at": "text"},
}
"""Columns and their types; the first one is the primary key."""

SCHEMA = """
create table if not exists reports (
    id integer primary key, title text not null, business text, body text, created_at text not null
);
create table if not exists preferences (name text primary key, value text, updated_at text);
create table if not exists users (id text primary key, email text unique, created_at text not null, body text not null);
create table if not exists buckets (id text primary key, public integer not null, created_at text not null);
create table if not exists objects (
    bucket text not null, path text not null, id text not null, body blob not null, mimetype text not null,
    created_at text not null, updated_at text not null, primary key (bucket, path)
);
"""

OPERATORS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "like", "ilike": "like"}
RESERVED = frozenset({"select", "order", "limit", "offset", "on_conflict", "columns"})
CONDITION = re.compile(r"(not\.)?(eq|neq|gte?|lte?|i?like|is|in)\.(.*)", re.DOTALL)
RANGE = re.compile(r"(\d+)-(\d*)")


class Refused(Exception):
    """A request that gets an error answer."""

    def __init__(self, reply: Response) -> None:
        super().__init__()
        self.reply = reply


class SupabaseStandIn:
    """Answers for one project."""

    def __init__(self, account: Account, world: World, endpoint: Mapping[str, str], policies: Policies) -> None:
        self._account = account
        self._world = world
        self._policies = policies
        self._all_powerful = (endpoint["secret_key"], endpoint["service_role_key"])
        self._known = (*self._all_powerful, endpoint["publishable_key"])
        self._signing = endpoint["secret_key"].encode()
        self._meter = Meter()
        self._directory = world.directory / "supabase"
        self._lock = threading.Lock()
        self._ready = False
        self.bodies = ErrorBodies(rate_limited=_rate_limited, server_error=_server_error)
        self._routes = Routes()
        add = self._routes.add
        for method, answer in (
            ("GET", self._select),
            ("POST", self._insert),
            ("PATCH", self._change),
            ("DELETE", self._delete),
        ):
            add(method, "/rest/v1/{table}", answer)
        add("HEAD", "/rest/v1/", lambda call: Response(None, 200))
        add("GET", "/storage/v1/status", lambda call: Response(None, 200))
        add("GET", "/storage/v1/bucket", self._buckets)
        add("POST", "/storage/v1/bucket", self._create_bucket)
        add("POST", "/storage/v1/object/list/{bucket}", self._list_objects)
        add("GET", "/auth/v1/health", lambda call: json_reply({"name": "GoTrue", "version": "v2.197.0"}))
        add("GET", "/auth/v1/admin/users", self._list_users)
        add("POST", "/auth/v1/admin/users", self._create_user)
        add("GET", "/auth/v1/admin/users/{user}", self._get_user)
        add("PUT", "/auth/v1/admin/users/{user}", self._update_user)
        add("DELETE", "/auth/v1/admin/users/{user}", self._delete_user)

    def admit(self, call: Call) -> Response | Mapping[str, str]:
        if call.method == "GET" and call.path.startswith("/storage/v1/object/sign/"):
            return {}
        key = call.headers.get("apikey", "")
        if not key:
            return json_reply({"message": "No API key found in request", "hint": "No `apikey` request header."}, 401)
        if not any(hmac.compare_digest(key.encode(), known.encode()) for known in self._known):
            hint = "Double check your Supabase `anon` or `service_role` API key."
            return json_reply({"message": "Invalid API key", "hint": hint}, 401)
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer.startswith("sb_") and bearer != key:
            return json_reply(
                {"code": "PGRST301", "message": "Expected 3 parts in JWT; got 1", "details": None, "hint": None}, 401
            )
        if key not in self._all_powerful and "health" not in call.path and "status" not in call.path:
            return _forbidden(call.path)
        outcome = self._meter.take(self._policies.of(self._account))
        return _rate_limited(outcome.retry_after) if isinstance(outcome, Refusal) else {}

    def answer(self, call: Call) -> Response:
        method = call.method
        try:
            if call.path.startswith("/storage/v1/object/") and not call.path.startswith("/storage/v1/object/list/"):
                return self._object(call, call.path.removeprefix("/storage/v1/object/"))
            answer = self._routes.handle(method, call.path, call)
        except Refused as refused:
            return refused.reply
        except msgspec.DecodeError as failure:
            return _rest_error(400, "PGRST102", f"Empty or invalid json: {failure}")
        return answer or json_reply({"message": f"no Route matched with {method} {call.path}"}, 404)

    def _database(self) -> sqlite3.Connection:
        with self._lock:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            connection = sqlite3.connect(self._directory / "project.sqlite", timeout=30, isolation_level=None)
            if not self._ready:
                connection.execute("pragma journal_mode = wal")
                connection.executescript(SCHEMA)
                self._ready = True
        connection.row_factory = sqlite3.Row
        return connection

    def _now(self) -> str:
        return self._world.now().isoformat(timespec="microseconds")

    # ---- REST

    def _select(self, call: Call, table: str) -> Response:
        columns = _columns(table)
        where, values = _conditions(call, columns)
        chosen = list(columns) if call.argument("select", "*") == "*" else call.argument("select").split(",")
        _require_columns(chosen, columns, table)
        first, asked = _window(call)
        with closing(self._database()) as database:
            total = database.execute(f"select count(*) from {table}{where}", values).fetchone()[0]  # noqa: S608
            counted = "count=exact" in call.headers.get("prefer", "")
            if counted and first > total:
                return _rest_error(
                    416, "PGRST103", "Requested range not satisfiable", f"An offset of {first} was given"
                )
            limit = MAX_ROWS if asked is None else min(asked, MAX_ROWS)
            statement = f"select {','.join(chosen)} from {table}{where}{_order(call, columns, table)} limit ? offset ?"  # noqa: S608
            rows = [_row(row, columns) for row in database.execute(statement, [*values, limit, first])]
        span = f"{first}-{first + len(rows) - 1}" if rows else "*"
        status = 206 if counted and len(rows) < total else 200
        return json_reply(rows, status, {"Content-Range": f"{span}/{total if counted else '*'}"})

    def _insert(self, call: Call, table: str) -> Response:
        columns = _columns(table)
        sent = call.read(object)
        rows: list[dict[str, Any]] = sent if isinstance(sent, list) else [sent]  # type: ignore[list-item]
        key = next(iter(columns))
        merging = "resolution=merge-duplicates" in call.headers.get("prefer", "")
        stored = []
        with closing(self._database()) as database:
            database.execute("begin immediate")
            for row in rows:
                _require_columns(row, columns, table)
                filled = {**{name: self._now() for name in columns if name.endswith("_at")}, **row}
                names = list(filled)
                clash = ""
                if merging:
                    target = call.argument("on_conflict", key)
                    changed = ", ".join(f"{name} = excluded.{name}" for name in row if name != target)
                    clash = f" on conflict ({target}) do update set {changed}"
                marks = ", ".join("?" for _ in names)
                statement = f"insert into {table} ({', '.join(names)}) values ({marks}){clash} returning *"  # noqa: S608
                try:
                    found = database.execute(statement, [_stored(filled[name], columns[name]) for name in names])
                    stored += [_row(one, columns) for one in found]
                except sqlite3.IntegrityError as failure:
                    database.execute("rollback")
                    return _integrity(failure, table, key, row)
            database.execute("commit")
        return _written(call, stored, 201)

    def _change(self, call: Call, table: str) -> Response:
        columns = _columns(table)
        changes = call.read(dict[str, Any])
        _require_columns(changes, columns, table)
        where, values = _conditions(call, columns)
        assigned = ", ".join(f"{name} = ?" for name in changes)
        new = [_stored(value, columns[name]) for name, value in changes.items()]
        with closing(self._database()) as database:
            statement = f"update {table} set {assigned}{where} returning *"  # noqa: S608
            try:
                rows = [_row(row, columns) for row in database.execute(statement, [*new, *values])]
            except sqlite3.IntegrityError as failure:
                return _integrity(failure, table, next(iter(columns)), changes)
        return _written(call, rows, 200)

    def _delete(self, call: Call, table: str) -> Response:
        columns = _columns(table)
        where, values = _conditions(call, columns)
        with closing(self._database()) as database:
            found = database.execute(f"delete from {table}{where} returning *", values)  # noqa: S608
            rows = [_row(row, columns) for row in found]
        return _written(call, rows, 200)

    # ---- Storage

    def _buckets(self, call: Call) -> Response:
        with closing(self._database()) as database:
            rows = database.execute("select * from buckets order by id").fetchall()
        return json_reply(
            [
                {"id": row["id"], "name": row["id"], "public": bool(row["public"]), "created_at": row["created_at"]}
                for row in rows
            ]
        )

    def _create_bucket(self, call: Call) -> Response:
        new = call.read(dict[str, Any])
        with closing(self._database()) as database:
            made = database.execute(
                "insert into buckets values (?, ?, ?) on conflict do nothing",
                [new["name"], bool(new.get("public")), self._now()],
            ).rowcount
        return (
            json_reply({"name": new["name"]})
            if made
            else _storage_error(409, "Duplicate", "The resource already exists")
        )

    def _object(self, call: Call, path: str) -> Response:
        signing = path.startswith("sign/")
        bucket, _, name = path.removeprefix("sign/").partition("/")
        with closing(self._database()) as database:
            if database.execute("select 1 from buckets where id = ?", [bucket]).fetchone() is None:
                return _storage_error(404, "Bucket not found", "Bucket not found")
            match call.method, signing:
                case "POST", True:
                    return self._sign(database, bucket, name, int(call.read(dict[str, Any])["expiresIn"]))
                case "GET", True:
                    return self._download(database, bucket, name, call)
                case "POST" | "PUT", False:
                    return self._upload(database, bucket, name, call)
                case "DELETE", False:
                    return self._remove(database, bucket, call.read(dict[str, list[str]])["prefixes"])
        return _storage_error(404, "not_found", f"Route {call.method} {call.path} not found")

    def _upload(self, database: sqlite3.Connection, bucket: str, path: str, call: Call) -> Response:
        if not path or ".." in PurePosixPath(path).parts:
            return _storage_error(400, "InvalidKey", f"Invalid key: {path}")
        now = self._now()
        clash = "do nothing"
        if call.method == "PUT" or call.headers.get("x-upsert") == "true":
            columns = ("body", "mimetype", "updated_at")
            changed = ", ".join(f"{name} = excluded.{name}" for name in columns)
            clash = f"(bucket, path) do update set {changed}"
        mimetype = call.headers.get("content-type", "application/octet-stream")
        stored = database.execute(
            f"insert into objects values (?, ?, ?, ?, ?, ?, ?) on conflict {clash} returning id",  # noqa: S608
            [bucket, path, str(uuid4()), call.body, mimetype, now, now],
        ).fetchone()
        if stored is None:
            return _duplicate()
        return json_reply({"Key": f"{bucket}/{path}", "Id": stored["id"]})

    def _list_objects(self, call: Call, bucket: str) -> Response:
        asked = call.read(dict[str, Any])
        prefix = str(asked.get("prefix") or "").strip("/")
        start = f"{prefix}/" if prefix else ""
        found: dict[str, dict[str, Any]] = {}
        with closing(self._database()) as database:
            rows = database.execute(
                "select path, id, mimetype, length(body) as size, created_at, updated_at from objects"
                " where bucket = ? and substr(path, 1, length(?)) = ? order by path",
                [bucket, start, start],
            )
            for row in rows:
                name, slash, _ = row["path"][len(start) :].partition("/")
                times = {"created_at": row["created_at"], "updated_at": row["updated_at"]}
                metadata = {"size": row["size"], "mimetype": row["mimetype"]}
                file = {"name": name, "id": row["id"], **times, "metadata": metadata}
                folder = {"name": name, "id": None, "created_at": None, "updated_at": None, "metadata": None}
                found.setdefault(name, folder if slash else file)
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", DEFAULT_OBJECTS))
        return json_reply([found[name] for name in sorted(found)][offset : offset + limit])

    def _sign(self, database: sqlite3.Connection, bucket: str, path: str, seconds: int) -> Response:
        if database.execute("select 1 from objects where bucket = ? and path = ?", [bucket, path]).fetchone() is None:
            return _storage_error(404, "not_found", "Object not found")
        expires = int(datetime.now(UTC).timestamp()) + seconds
        return json_reply(
            {"signedURL": f"/object/sign/{bucket}/{path}?token={expires}.{self._seal(bucket, path, expires)}"}
        )

    def _download(self, database: sqlite3.Connection, bucket: str, path: str, call: Call) -> Response:
        expires, _, seal = call.argument("token").partition(".")
        good = expires.isdecimal() and hmac.compare_digest(seal, self._seal(bucket, path, int(expires)))
        if not good or int(expires) < call.now:
            return _storage_error(
                400, "InvalidJWT", '"exp" claim timestamp check failed' if good else "Invalid signature"
            )
        row = database.execute(
            "select body, mimetype from objects where bucket = ? and path = ?", [bucket, path]
        ).fetchone()
        if row is None:
            return _storage_error(404, "not_found", "Object not found")
        return Response(row["body"], media_type=row["mimetype"])

    def _seal(self, bucket: str, path: str, expires: int) -> str:
        return hmac.new(self._signing, f"{bucket}/{path}/{expires}".encode(), hashlib.sha256).hexdigest()

    def _remove(self, database: sqlite3.Connection, bucket: str, paths: Sequence[str]) -> Response:
        removed = []
        for path in paths:
            found = database.execute("delete from objects where bucket = ? and path = ? returning id", [bucket, path])
            removed += [{"name": path, "bucket_id": bucket, "id": row["id"]} for row in found.fetchall()]
        return json_reply(removed)

    # ---- Auth

    def _list_users(self, call: Call) -> Response:
        page, size = int(call.argument("page", "1")), int(call.argument("per_page", str(DEFAULT_USERS)))
        with closing(self._database()) as database:
            total = database.execute("select count(*) from users").fetchone()[0]
            rows = database.execute(
                "select body from users order by created_at desc, id limit ? offset ?", [size, (page - 1) * size]
            ).fetchall()
        users = [json.loads(row["body"]) for row in rows]
        return json_reply({"users": users, "aud": "authenticated"}, headers={"X-Total-Count": str(total)})

    def _create_user(self, call: Call) -> Response:
        new = call.read(dict[str, Any])
        email = str(new.get("email") or "").lower() or None
        if email is None and not new.get("phone"):
            return _auth_error(400, "validation_failed", "Cannot create a user without either an email or phone")
        now = self._now()
        user = {
            "id": str(uuid4()),
            "aud": "authenticated",
            "role": "authenticated",
            "email": email,
            "phone": new.get("phone") or "",
            "email_confirmed_at": now if new.get("email_confirm") else None,
            "user_metadata": new.get("user_metadata") or {},
            "app_metadata": {"provider": "email", "providers": ["email"], **(new.get("app_metadata") or {})},
            "created_at": now,
            "updated_at": now,
        }
        with closing(self._database()) as database:
            made = database.execute(
                "insert into users values (?, ?, ?, ?) on conflict do nothing",
                [user["id"], email, now, json.dumps(user)],
            ).rowcount
        if not made:
            return _auth_error(422, "email_exists", "A user with this email address has already been registered")
        return json_reply(user)

    def _get_user(self, call: Call, user: str) -> Response:
        with closing(self._database()) as database:
            return json_reply(_user(database, user))

    def _update_user(self, call: Call, user: str) -> Response:
        changes = call.read(dict[str, Any])
        with closing(self._database()) as database:
            now = self._now()
            known = _user(database, user)
            if changes.pop("email_confirm", False):
                known["email_confirmed_at"] = now
            changes.pop("password", None)
            changes.pop("ban_duration", None)
            for name in ("user_metadata", "app_metadata"):
                known[name] |= changes.pop(name, None) or {}
            known |= {**changes, "updated_at": now}
            try:
                database.execute(
                    "update users set email = ?, body = ? where id = ?", [known["email"], json.dumps(known), user]
                )
            except sqlite3.IntegrityError:
                return _auth_error(422, "email_exists", "A user with this email address has already been registered")
        return json_reply(known)

    def _delete_user(self, call: Call, user: str) -> Response:
        with closing(self._database()) as database:
            _user(database, user)
            database.execute("delete from users where id = ?", [user])
        return json_reply({})


@dataclass(frozen=True, slots=True)
class _Condition:
    sql: str
    values: tuple[Any, ...]


def _columns(table: str) -> Mapping[str, str]:
    if table not in TABLES:
        message = f"Could not find the table 'public.{table}' in the schema cache"
        raise Refused(_rest_error(404, "PGRST205", message))
    return TABLES[table]


def _require_columns(names: Mapping[str, Any] | Sequence[str], columns: Mapping[str, str], table: str) -> None:
    for name in names:
        if name not in columns:
            raise Refused(_rest_error(400, "42703", f"column {table}.{name} does not exist"))


def _conditions(call: Call, columns: Mapping[str, str]) -> tuple[str, list[Any]]:
    found = [
        _condition(name, value, columns)
        for name, values in call.arguments.items()
        if name not in RESERVED
        for value in values
    ]
    if not found:
        return "", []
    return " where " + " and ".join(one.sql for one in found), [value for one in found for value in one.values]


def _condition(name: str, text: str, columns: Mapping[str, str]) -> _Condition:
    if name in ("and", "or"):
        parts = [part.partition(".") for part in _split(text.removeprefix("(").removesuffix(")"))]
        inner = [_condition(column, _unquoted(rest), columns) for column, _, rest in parts]
        return _Condition(
            f"({f' {name} '.join(one.sql for one in inner)})", tuple(value for one in inner for value in one.values)
        )
    said = CONDITION.fullmatch(text)
    if said is None:
        raise Refused(_rest_error(400, "PGRST100", f'"failed to parse filter ({text})"'))
    _require_columns([name], columns, "public")
    negated, operator, value = "not " if said[1] else "", said[2], said[3]
    if operator == "is":
        return _Condition(f"{negated}{name} is {'null' if value == 'null' else int(value == 'true')}", ())
    if operator == "in":
        values = tuple(_cast(_bare(part), columns[name]) for part in _split(value.removeprefix("(").removesuffix(")")))
        return _Condition(f"{negated}{name} in ({', '.join('?' for _ in values)})", values)
    given = value.replace("*", "%") if operator.endswith("like") else _cast(value, columns[name])
    return _Condition(f"{negated}{name} {OPERATORS[operator]} ?", (given,))


def _split(text: str) -> list[str]:
    """At commas outside of quotes and parentheses."""
    return re.findall(r'(?:"(?:\\.|[^"\\])*"|\([^)]*\)|[^,"(])+', text)


def _bare(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


def _unquoted(condition: str) -> str:
    operator, _, value = condition.partition(".")
    return f"{operator}.{_bare(value)}"


def _cast(value: str, kind: str) -> Any:
    if kind != "integer":
        return value
    try:
        return int(value)
    except ValueError:
        raise Refused(_rest_error(400, "22P02", f'invalid input syntax for type bigint: "{value}"')) from None


def _order(call: Call, columns: Mapping[str, str], table: str) -> str:
    if not call.argument("order"):
        return ""
    terms = []
    for term in call.argument("order").split(","):
        name, _, how = term.partition(".")
        _require_columns([name], columns, table)
        terms.append(f"{name} {'desc' if how.startswith('desc') else 'asc'}")
    return f" order by {', '.join(terms)}"


def _window(call: Call) -> tuple[int, int | None]:
    """First row and how many are asked for; arguments win over the header."""
    first, asked = 0, None
    if said := RANGE.fullmatch(call.headers.get("range", "")):
        first = int(said[1])
        asked = int(said[2]) - first + 1 if said[2] else None
    first = int(call.argument("offset", str(first)))
    limit = call.argument("limit")
    return first, int(limit) if limit else asked


def _stored(value: Any, kind: str) -> Any:
    return json.dumps(value) if kind == "json" and value is not None else value


def _row(row: sqlite3.Row, columns: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: json.loads(row[name]) if columns[name] == "json" and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118 -- a Row iterates over its values
    }


def _written(call: Call, rows: list[dict[str, Any]], status: int) -> Response:
    if "return=representation" in call.headers.get("prefer", ""):
        return json_reply(rows, status)
    return Response(None, 201 if status == 201 else 204)


def _user(database: sqlite3.Connection, user: str) -> dict[str, Any]:
    row = database.execute("select body from users where id = ?", [user]).fetchone()
    if row is None:
        raise Refused(_auth_error(404, "user_not_found", "User not found"))
    found: dict[str, Any] = json.loads(row["body"])
    return found


def _integrity(failure: sqlite3.IntegrityError, table: str, key: str, row: Mapping[str, Any]) -> Response:
    if "UNIQUE" in str(failure):
        message = f'duplicate key value violates unique constraint "{table}_pkey"'
        return _rest_error(409, "23505", message, f"Key ({key})=({row.get(key)}) already exists.")
    column = str(failure).rpartition(".")[2]
    return _rest_error(
        400, "23502", f'null value in column "{column}" of relation "{table}" violates not-null constraint'
    )


def _forbidden(path: str) -> Response:
    if path.startswith("/auth/"):
        return _auth_error(403, "not_admin", "User not allowed")
    if path.startswith("/storage/"):
        return _storage_error(403, "Unauthorized", "new row violates row-level security policy")
    table = path.rpartition("/")[2]
    return _rest_error(401, "42501", f"permission denied for table {table}")


def _rest_error(status: int, code: str, message: str, details: str | None = None) -> Response:
    return json_reply({"code": code, "message": message, "details": details, "hint": None}, status)


def _storage_error(meant: int, error: str, message: str) -> Response:
    """HTTP 400, whatever it means."""
    return json_reply({"statusCode": str(meant), "error": error, "message": message}, 400)


def _duplicate() -> Response:
    return _storage_error(409, "Duplicate", "The resource already exists")


def _auth_error(status: int, code: str, message: str) -> Response:
    return json_reply({"code": status, "error_code": code, "msg": message}, status)


def _rate_limited(seconds: float | None) -> Response:
    headers = {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}
    return json_reply(
        {"code": 429, "error_code": "over_request_rate_limit", "msg": "Request rate limit reached"}, 429, headers
    )


def _server_error(status: int) -> Response:
    message = "Could not query the database for the schema cache. Retrying."
    return _rest_error(status, "PGRST002", message)
