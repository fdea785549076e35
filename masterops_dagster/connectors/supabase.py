"""Supabase beside the direct connection to its database: REST, Storage, Auth's users, and the health of each.

Facts from the documentation of Supabase, PostgREST and GoTrue:
- REST (PostgREST) answers with at most `db-max-rows` rows (1,000 unless changed) however many were asked for, and says
  so only in `Content-Range: 0-999/3500`. A short page is not the last one: `rows` goes on by key until nothing comes.
- `Prefer: count=exact` counts, at the price of a whole scan. A `Range` from beyond the end is refused with 416.
- Storage answers most errors with HTTP 400 and the status that it means in the body: `{"statusCode": "404", …}`.
- Auth lists its users newest first, in numbered pages, with `X-Total-Count`.
- Error bodies: REST `{code, message, details, hint}`, Storage `{statusCode, error, message}`, Auth `{code, error_code,
  msg}`, the gateway before all of them `{message, hint}`.
- The secret key (and the old `service_role`) bypasses row level security; requests with it from a browser are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar, Unpack
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from masterops_dagster.connectors.auth import SupabaseKey
from masterops_dagster.connectors.base import Connector, Explanation, Options, Page, Record, Reply
from masterops_dagster.connectors.budget import Window
from masterops_dagster.connectors.errors import (
    AuthenticationError,
    Conflict,
    ConnectorError,
    NotFound,
    PermissionDenied,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.paging import NumberedPage, numbered_pages
from masterops_dagster.connectors.responses import error_kind

REQUEST_WINDOW = Window("1s", 20, 1.0)
PAGE_SIZE = 1000
USERS_PAGE_SIZE = 200
OBJECTS_PAGE_SIZE = 1000

Service = Literal["rest", "storage", "auth"]
TABLES, USERS, BUCKETS = "tables/", "users", "buckets/"
STATEMENT_TIMEOUT, NO_RIGHT = "57014", "42501"
CONTENT_RANGE = re.compile(r"(?:(\d+)-(\d+)|\*)/(\d+|\*)")


class Supabase(Connector):
    """One project. `base_url` is the project's (`https://<ref>.supabase.co`), `key` its secret or `service_role` key.

    The `StreamReader`'s resources are `tables/<name>` (by its column `id`), `users` and `buckets/<name>`; they have no
    dates. Filters are PostgREST's: `{"status": "eq.open", "total": "gte.10"}`.
    """

    system = "supabase"

    def __init__(
        self,
        base_url: str,
        account: str,
        key: str,
        *,
        window: Window = REQUEST_WINDOW,
        page_size: int = PAGE_SIZE,
        users_page_size: int = USERS_PAGE_SIZE,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(base_url, account, SupabaseKey(key), windows=[window], **options)
        self.page_size = page_size
        self.users_page_size = users_page_size

    # ---- the face that all connectors have

    def read(
        self,
        resource: str,
        *,
        modified_since: datetime | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        properties: Sequence[str] = (),
        archived: bool = False,
    ) -> Iterator[Page]:
        """All rows of a resource; of a table only the columns `properties`, if any are named."""
        if modified_since is not None or created_from is not None or created_to is not None:
            raise ValueError("Supabase's resources are read whole: they have no dates")
        if archived:
            return
        name, of = _resource(resource)
        if name == TABLES:
            yield from self.rows(of, columns=tuple(dict.fromkeys(("id", *properties))) if properties else ())
        elif name == BUCKETS:
            yield from self._object_pages(of, "")
        else:
            yield from self._user_pages()

    def read_children(self, resource: str, parent_ids: Sequence[str | int]) -> Iterator[Page]:
        """There are none. Raises `ValueError`."""
        raise ValueError(f"Supabase has no children {resource!r}")

    def count(self, resource: str) -> int | None:
        """The service's own count; None for a bucket, which has none."""
        name, of = _resource(resource)
        if name == TABLES:
            return self.count_rows(of)
        return self._users_page(1, 1).total if name == USERS else None

    def keys(self, resource: str) -> Iterator[Sequence[object]]:
        """All ids; of a bucket the names in its top folder."""
        name, of = _resource(resource)
        pages = self.rows(of, columns=["id"]) if name == TABLES else self.read(resource)
        for page in pages:
            yield [item["name" if name == BUCKETS else "id"] for item in page.items]

    def identity(self) -> str:
        """The project's address: each project has one of its own, and refuses the keys of others."""
        return f"project {urlsplit(self.base_url).netloc.lower()}"

    # ---- REST

    def rows(
        self,
        table: str,
        *,
        key: str = "id",
        columns: Sequence[str] = (),
        filters: Mapping[str, str] | None = None,
    ) -> Iterator[Page]:
        """All rows, by ascending `key`, which must be unique, never null, and among `columns` (empty: all of them).

        Each page begins behind the last key of the one before, so that rows which come or go meanwhile push no others
        out, and ends where the service cuts it. The first page has the exact total.
        """
        operation = f"list rows of {table}"
        query = {"select": ",".join(columns) or "*", "order": f"{key}.asc", "limit": str(self.page_size)}
        last: object = None
        while True:
            first_page = last is None
            reply = self._rest(
                "GET",
                table,
                operation,
                params=query | _both(filters or {}, {} if first_page else {key: f"gt.{last}"}),
                prefer="count=exact" if first_page else "",
            )
            items = self._array(operation, reply)
            if not items:
                return
            total = _content_range(reply).total if first_page else None
            yield Page(items, total)
            if total is not None and len(items) >= total:
                return
            last = items[-1].get(key)
            if last is None:
                raise self.malformed(operation, f"a row has no {key}, by which the table is read")

    def slice(
        self, table: str, first: int, last: int, *, order: str = "id.asc", filters: Mapping[str, str] | None = None
    ) -> Slice:
        """Rows number `first` to `last` (from 0, both included) of all that match; none from beyond the end.

        `Slice.last` tells how far the answer went: the service may have cut it short.
        """
        operation = f"read a range of {table}"
        try:
            reply = self._rest(
                "GET",
                table,
                operation,
                params={"select": "*", "order": order, **(filters or {})},
                prefer="count=exact",
                headers={"Range-Unit": "items", "Range": f"{first}-{last}"},
            )
        except Rejected as error:
            if error.status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return Slice((), first, None, self.count_rows(table, filters))
            raise
        said = _content_range(reply)
        if said.total is None:
            raise self.malformed(operation, "the answer has no exact count in Content-Range")
        return Slice(tuple(self._array(operation, reply)), first, said.last, said.total)

    def count_rows(self, table: str, filters: Mapping[str, str] | None = None) -> int:
        """How many rows match, exactly."""
        operation = f"count rows of {table}"
        reply = self._rest("GET", table, operation, params={"limit": "1", **(filters or {})}, prefer="count=exact")
        total = _content_range(reply).total
        if total is None:
            raise self.malformed(operation, "the answer has no exact count in Content-Range")
        return total

    def insert(self, table: str, rows: Sequence[Record]) -> list[Record]:
        """Adds rows, all or none, and returns them as stored. An insert whose answer was lost isn't repeated."""
        operation = f"insert into {table}"
        return self._array(operation, self._rest("POST", table, operation, json=rows, prefer="return=representation"))

    def upsert(self, table: str, rows: Sequence[Record], *, key: str = "id") -> list[Record]:
        """Adds rows or overwrites those with the same `key` (columns of a unique index, by comma)."""
        operation = f"upsert into {table}"
        prefer = "resolution=merge-duplicates,return=representation"
        params = {"on_conflict": key}
        return self._array(
            operation,
            self._rest("POST", table, operation, json=rows, params=params, prefer=prefer, repeatable=True),
        )

    def update(self, table: str, changes: Record, filters: Mapping[str, str]) -> list[Record]:
        """Changes the rows that match and returns them; without any filter raises `ValueError`."""
        operation = f"update {table}"
        _require(filters, operation)
        reply = self._rest(
            "PATCH", table, operation, json=changes, params=filters, prefer="return=representation", repeatable=True
        )
        return self._array(operation, reply)

    def delete(self, table: str, filters: Mapping[str, str]) -> list[Record]:
        """Deletes the rows that match and returns them; without any filter raises `ValueError`."""
        operation = f"delete rows of {table}"
        _require(filters, operation)
        reply = self._rest("DELETE", table, operation, params=filters, prefer="return=representation")
        return self._array(operation, reply)

    def _rest(
        self,
        method: str,
        table: str,
        operation: str,
        *,
        params: Mapping[str, str] | None = None,
        prefer: str = "",
        json: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> Reply:
        return self.request(
            method,
            "/rest/v1/{table}",
            operation=operation,
            path={"table": table},
            params=params,
            json=json,
            headers={**(headers or {}), **({"Prefer": prefer} if prefer else {})},
            repeatable=repeatable,
        )

    # ---- Storage

    def buckets(self) -> list[Bucket]:
        """All buckets."""
        operation = "list buckets"
        reply = self.request("GET", "/storage/v1/bucket", operation=operation)
        return [self._model(Bucket, operation, item) for item in self._array(operation, reply)]

    def create_bucket(self, name: str, *, public: bool = False) -> None:
        """Makes a bucket. Raises `Conflict` if there is one of that name."""
        new = {"id": name, "name": name, "public": public}
        self.request("POST", "/storage/v1/bucket", operation="create bucket", json=new)

    def upload(
        self,
        bucket: str,
        path: str,
        content: bytes,
        *,
        content_type: str = "application/octet-stream",
        replace: bool = False,
    ) -> str:
        """Stores a file under `folder/name` and returns its key, bucket included. Raises `Conflict` if there is one.

        With `replace` it is overwritten; only then is an upload whose answer was lost repeated.
        """
        operation = "upload file"
        reply = self.request(
            "POST",
            "/storage/v1/object/{bucket}/{path}",
            operation=operation,
            path={"bucket": bucket, "path": path.strip("/").split("/")},
            content=content,
            headers={"Content-Type": content_type, "x-upsert": str(replace).lower()},
            repeatable=replace,
        )
        return self._model(Uploaded, operation, reply.data).key

    def objects(self, bucket: str, folder: str = "") -> Iterator[StoredObject]:
        """What is in a folder of a bucket, by name; folders have no id."""
        for page in self._object_pages(bucket, folder):
            yield from (self._model(StoredObject, "list files", item) for item in page.items)

    def signed_url(self, bucket: str, path: str, *, valid_for: timedelta) -> str:
        """An address at which anybody may read the file for so long. Raises `NotFound`."""
        operation = "sign file"
        reply = self.request(
            "POST",
            "/storage/v1/object/sign/{bucket}/{path}",
            operation=operation,
            path={"bucket": bucket, "path": path.strip("/").split("/")},
            json={"expiresIn": int(valid_for.total_seconds())},
            repeatable=True,
        )
        return f"{self.base_url}/storage/v1{self._model(Signed, operation, reply.data).signed_url}"

    def remove(self, bucket: str, paths: Sequence[str]) -> list[str]:
        """Deletes files and returns the paths of those that were there."""
        operation = "delete files"
        reply = self.request(
            "DELETE",
            "/storage/v1/object/{bucket}",
            operation=operation,
            path={"bucket": bucket},
            json={"prefixes": list(paths)},
        )
        return [self._model(StoredObject, operation, item).name for item in self._array(operation, reply)]

    def _object_pages(self, bucket: str, folder: str) -> Iterator[Page]:
        offset = 0
        while True:
            operation = "list files"
            reply = self.request(
                "POST",
                "/storage/v1/object/list/{bucket}",
                operation=operation,
                path={"bucket": bucket},
                json={
                    "prefix": folder.strip("/"),
                    "limit": OBJECTS_PAGE_SIZE,
                    "offset": offset,
                    "sortBy": {"column": "name", "order": "asc"},
                },
                repeatable=True,
            )
            items = self._array(operation, reply)
            if items:
                yield Page(items)
            if len(items) < OBJECTS_PAGE_SIZE:
                return
            offset += len(items)

    # ---- Auth

    def users(self) -> Iterator[User]:
        """All users. One may come twice when others come meanwhile."""
        for page in self._user_pages():
            yield from (self._model(User, "list users", item) for item in page.items)

    def get_user(self, user_id: UUID | str) -> User:
        """One user. Raises `NotFound`."""
        return self._user("GET", "get user", user_id)

    def create_user(self, new: NewUser) -> User:
        """Makes a user. Raises `Conflict` if the address is taken. A lost answer isn't repeated."""
        operation = "create user"
        body = new.model_dump(exclude_unset=True)
        return self._model(
            User, operation, self.request("POST", "/auth/v1/admin/users", operation=operation, json=body).data
        )

    def update_user(self, user_id: UUID | str, changes: NewUser) -> User:
        """Writes the fields that are set on `changes`; others stay as they are. Raises `NotFound`."""
        return self._user("PUT", "update user", user_id, changes.model_dump(exclude_unset=True))

    def delete_user(self, user_id: UUID | str) -> None:
        """Deletes a user for good. Raises `NotFound`."""
        self.request("DELETE", "/auth/v1/admin/users/{id}", operation="delete user", path={"id": str(user_id)})

    def _user(self, method: str, operation: str, user_id: UUID | str, body: object = None) -> User:
        reply = self.request(
            method, "/auth/v1/admin/users/{id}", operation=operation, path={"id": str(user_id)}, json=body
        )
        return self._model(User, operation, reply.data)

    def _user_pages(self) -> Iterator[Page]:
        return numbered_pages(
            lambda number: self._users_page(number, self.users_page_size),
            self.in_order,
            page_size=self.users_page_size,
            key=lambda item: str(item.get("id")),
            never_at_rest=lambda: Unavailable(
                "users kept coming and going while they were read, and some are still missing",
                system=self.system,
                account=self.account,
                operation="list users",
            ),
        )

    def _users_page(self, number: int, size: int) -> NumberedPage:
        operation = "list users"
        reply = self.request(
            "GET", "/auth/v1/admin/users", operation=operation, params={"page": number, "per_page": size}
        )
        try:
            items = reply.object().get("users")
        except TypeError as failure:
            raise self.malformed(operation, str(failure)) from None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.malformed(operation, "the answer has no list of users")
        said = reply.headers.get("X-Total-Count", "")
        total = int(said) if said.isdecimal() else None
        return NumberedPage(items, total, None if total is None else -(-total // size))

    # ---- health

    def health(self) -> dict[Service, Health]:
        """How each service answers; what goes wrong is told in words, not raised."""
        looks: dict[Service, tuple[str, str]] = {
            "rest": ("HEAD", "/rest/v1/"),
            "storage": ("GET", "/storage/v1/status"),
            "auth": ("GET", "/auth/v1/health"),
        }
        found: dict[Service, Health] = {}
        for service, (method, path) in looks.items():
            try:
                reply = self.request(method, path, operation=f"health of {service}")
            except ConnectorError as error:
                found[service] = Health(ok=False, said=str(error))
            else:
                version = reply.data.get("version") if isinstance(reply.data, dict) else None
                found[service] = Health(ok=True, said=f"answers, version {version}" if version else "answers")
        return found

    # ---- how the services speak

    def explain(self, status: int, headers: httpx.Headers, body: object) -> Explanation:
        """Which service speaks follows from the body's fields; see above."""
        if not isinstance(body, dict):
            return Explanation(str(body))
        if "statusCode" in body:
            return _explain_storage(status, body)
        if "msg" in body or "error_code" in body:
            return _explain_auth(body)
        return _explain_rest(status, body)

    def _array(self, operation: str, reply: Reply) -> list[Record]:
        try:
            return reply.array()
        except TypeError as failure:
            raise self.malformed(operation, str(failure)) from None

    def _model(self, model: type[M], operation: str, data: object) -> M:
        try:
            return model.model_validate(data)
        except ValidationError as failure:
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in failure.errors()[:5])
            raise self.malformed(operation, f"not a {model.__name__}: {where}") from None


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows `first` to `last` of `total`; `last` is None where there are none."""

    rows: tuple[Record, ...]
    first: int
    last: int | None
    total: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a service answers, and what it said."""

    ok: bool
    said: str


@dataclass(frozen=True, slots=True)
class _Range:
    last: int | None
    total: int | None


def _content_range(reply: Reply) -> _Range:
    """`0-24/3573`, `*/0`, `0-24/*`; what isn't said is None."""
    found = CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", "").strip())
    if found is None:
        return _Range(None, None)
    return _Range(int(found[2]) if found[2] else None, int(found[3]) if found[3].isdecimal() else None)


def _both(filters: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Both conditions; a column that has two gets them as `and=(…)`, since each name stands once in a query."""
    twice = sorted(filters.keys() & more.keys())
    if not twice:
        return {**filters, **more}
    joined = ",".join(f"{name}.{_quoted(condition[name])}" for condition in (filters, more) for name in twice)
    once = {name: condition for name, condition in {**filters, **more}.items() if name not in twice}
    return once | {"and": f"({joined})"}


def _quoted(condition: str) -> str:
    """`gt.a,b` as it may stand inside parentheses: `gt."a,b"`."""
    operator, _, value = condition.partition(".")
    if re.search(r'[,.:()"\\\s]', value) and not value.startswith("("):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{operator}.{value}"


def _require(filters: Mapping[str, str], operation: str) -> None:
    if not filters:
        raise ValueError(f"{operation} without a filter would concern every row")


def _resource(name: str) -> tuple[str, str]:
    for kind in (TABLES, BUCKETS):
        if name.startswith(kind) and len(name) > len(kind):
            return kind, name.removeprefix(kind)
    if name != USERS:
        raise ValueError(f"unknown resource {name!r} of Supabase; known: tables/<name>, users, buckets/<name>")
    return USERS, ""


def _explain_rest(status: int, body: Mapping[str, object]) -> Explanation:
    """PostgREST's codes are its own (`PGRST…`) or PostgreSQL's SQLSTATE; the gateway has none."""
    code = str(body.get("code") or "")
    said = [body.get("message") or "no message", body.get("details"), body.get("hint")]
    detail = ". ".join(str(part).rstrip(".") for part in said if part) + (f" ({code})" if code else "")
    if code == NO_RIGHT:
        advice = "Grant the key's role the right that the message names, or use the secret key."
        return Explanation(detail, kind=PermissionDenied, advice=advice)
    if code == STATEMENT_TIMEOUT:
        advice = "The statement takes longer than the role's statement_timeout: ask for less, or add an index."
        return Explanation(detail, kind=Rejected, advice=advice)
    if code == "PGRST205":
        advice = "Check the table's name and that its schema is among the project's exposed schemas."
        return Explanation(detail, kind=NotFound, advice=advice)
    if status == httpx.codes.UNAUTHORIZED:
        return Explanation(
            detail, advice="Check SUPABASE_SECRET_KEY: the key is wrong, expired, or of another project."
        )
    return Explanation(detail)


def _explain_storage(status: int, body: Mapping[str, object]) -> Explanation:
    meant = str(body["statusCode"])
    detail = f"{body.get('message') or 'no message'} ({body.get('error') or meant})"
    return Explanation(detail, kind=error_kind(int(meant)) if meant.isdecimal() else error_kind(status))


def _explain_auth(body: Mapping[str, object]) -> Explanation:
    code = str(body.get("error_code") or body.get("code") or "no code")
    detail = f"{body.get('msg') or body.get('message') or 'no message'} ({code})"
    kinds: dict[str, type[ConnectorError]] = {
        "email_exists": Conflict,
        "phone_exists": Conflict,
        "user_already_exists": Conflict,
        "user_not_found": NotFound,
        "bad_jwt": AuthenticationError,
        "no_authorization": AuthenticationError,
        "not_admin": PermissionDenied,
    }
    return Explanation(detail, kind=kinds.get(code))


# ---- models: what is named is checked, what isn't is kept


class Model(BaseModel):
    """Fields without a name here are kept."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


M = TypeVar("M", bound=Model)


class Bucket(Model):
    """A bucket of Storage."""

    id: str
    name: str
    public: bool = False
    created_at: AwareDatetime | None = None


class StoredObject(Model):
    """A file, or a folder, which has no id. `metadata` holds size and mimetype."""

    name: str
    id: UUID | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    metadata: Record | None = None


class Uploaded(Model):
    """The answer to an upload."""

    key: str = Field(alias="Key")


class Signed(Model):
    """The answer to a request for a signed address: a path below `/storage/v1`."""

    signed_url: str = Field(alias="signedURL", pattern=r"^/")


class NewUser(BaseModel):
    """What may be written of a user. `email_confirm` spares the mail with a link; `ban_duration` is `24h` or `none`."""

    model_config = ConfigDict(extra="forbid")

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    email_confirm: bool | None = None
    user_metadata: Record | None = None
    app_metadata: Record | None = None
    ban_duration: str | None = None


class User(Model):
    """Somebody who can sign in."""

    id: UUID
    email: str | None = None
    phone: str | None = None
    role: str | None = None
    created_at: AwareDatetime | None = None
    updated_at: AwareDatetime | None = None
    last_sign_in_at: AwareDatetime | None = None
    email_confirmed_at: AwareDatetime | None = None
    banned_until: AwareDatetime | None = None
    user_metadata: Record = Field(default_factory=dict)
    app_metadata: Record = Field(default_factory=dict)
