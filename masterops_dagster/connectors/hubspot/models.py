"""What HubSpot says and takes, typed: objects, owners, pipelines, property definitions, searches, errors.

Answers may carry fields that are not named here (HubSpot adds some without a new version); they are ignored, and the
fields of an error are all optional, as HubSpot's page on error handling asks of its readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Properties = Mapping[str, str | None]
"""Property values by name. All of them are strings, numbers and dates as well; the empty string clears a value."""


CREATED_PROPERTY = "createdate"
"""When an object was created, of every type. People can change a deal's or company's; answers show `createdAt` too."""


class ObjectType(StrEnum):
    """The types of CRM objects that the group uses; the values stand in paths."""

    CONTACTS = "contacts"
    COMPANIES = "companies"
    DEALS = "deals"
    PRODUCTS = "products"
    LINE_ITEMS = "line_items"

    @property
    def modified_property(self) -> str:
        """The property that holds when an object was last changed."""
        return "lastmodifieddate" if self is ObjectType.CONTACTS else "hs_lastmodifieddate"


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class HubSpotObject(_Model):
    """A contact, company, deal, product or line item.

    `id` is decimal digits. `properties` are those asked for (HubSpot's default ones if none were), null where unset.
    `new` is given by an upsert: whether it created the object. Times are UTC.
    """

    id: str
    properties: dict[str, str | None] = Field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    archived: bool = False
    archived_at: datetime | None = None
    new: bool | None = None
    object_write_trace_id: str | None = None

    @property
    def merged_ids(self) -> tuple[str, ...]:
        """Ids under which this object was known before merges (`hs_merged_object_ids`, if it was asked for)."""
        return tuple(part for part in (self.properties.get("hs_merged_object_ids") or "").split(";") if part)


class ObjectPage(_Model):
    """One page of a listing or search; `after` leads to the next one, None on the last. `total` only in searches."""

    results: tuple[HubSpotObject, ...]
    total: int | None = None
    after: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _lift_paging(cls, data: object) -> object:
        return {**data, "after": next_after(data)} if isinstance(data, Mapping) and "paging" in data else data


class Owner(_Model):
    """A HubSpot user to whom records can be assigned; archived once the user was removed."""

    id: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    user_id: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    archived: bool = False


class PipelineStage(_Model):
    """A stage. `metadata` of a deal's stage holds `isClosed` and `probability`, both as strings."""

    id: str
    label: str
    display_order: int = 0
    metadata: dict[str, str | bool | None] = Field(default_factory=dict)
    archived: bool = False


class Pipeline(_Model):
    """A pipeline with its stages."""

    id: str
    label: str
    display_order: int = 0
    stages: tuple[PipelineStage, ...] = ()
    archived: bool = False


class PropertyOption(_Model):
    """One value of an enumeration."""

    label: str
    value: str
    hidden: bool = False


class PropertyDefinition(_Model):
    """What a property is. `type` is string, number, date, datetime, bool, enumeration or phone_number."""

    name: str
    label: str = ""
    type: str
    field_type: str | None = None
    group_name: str | None = None
    hubspot_defined: bool = False
    has_unique_value: bool = False
    options: tuple[PropertyOption, ...] = ()
    archived: bool = False


class AssociationType(_Model):
    """How two objects are associated. `category` is HUBSPOT_DEFINED, USER_DEFINED or INTEGRATOR_DEFINED."""

    category: str
    type_id: int
    label: str | None = None


class Association(_Model):
    """A pair of associated objects."""

    from_id: str
    to_id: str
    types: tuple[AssociationType, ...] = ()


class Operator(StrEnum):
    """What a filter of a search can ask; IN and NOT_IN take `values`, BETWEEN `value` and `highValue`."""

    EQ = "EQ"
    NEQ = "NEQ"
    LT = "LT"
    LTE = "LTE"
    GT = "GT"
    GTE = "GTE"
    BETWEEN = "BETWEEN"
    IN = "IN"
    NOT_IN = "NOT_IN"
    HAS_PROPERTY = "HAS_PROPERTY"
    NOT_HAS_PROPERTY = "NOT_HAS_PROPERTY"
    CONTAINS_TOKEN = "CONTAINS_TOKEN"  # noqa: S105 - a word to look for, no secret
    NOT_CONTAINS_TOKEN = "NOT_CONTAINS_TOKEN"  # noqa: S105


class Filter(_Model):
    """One condition on one property. Moments are sent as milliseconds since 1970."""

    property_name: str
    operator: Operator
    value: str | None = None
    high_value: str | None = None
    values: tuple[str, ...] | None = None

    @field_validator("value", "high_value", mode="before")
    @classmethod
    def _moments_as_milliseconds(cls, value: object) -> object:
        if isinstance(value, datetime):
            return str(milliseconds(value))
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class FilterGroup(_Model):
    """Conditions that must all hold."""

    filters: tuple[Filter, ...]


class Sort(_Model):
    """An order of results. One at most is allowed."""

    property_name: str
    direction: str = Field("ASCENDING", pattern="^(ASCENDING|DESCENDING)$")


class SearchRequest(_Model):
    """A search: any of the groups must hold. HubSpot refuses what goes beyond these bounds; so does this model.

    At most 5 groups, 6 filters in each, 18 in all, 200 results a page, one sort; the body at most 3,000 characters;
    past 10,000 results HubSpot answers 400 (`HubSpot.search_all` walks on by id).
    """

    filter_groups: tuple[FilterGroup, ...] = Field((), max_length=5)
    sorts: tuple[Sort, ...] = Field((), max_length=1)
    properties: tuple[str, ...] = ()
    limit: int = Field(200, ge=1, le=200)
    after: str | None = None
    query: str | None = Field(None, max_length=3000)

    @model_validator(mode="after")
    def _within_bounds(self) -> SearchRequest:
        if any(len(group.filters) > 6 for group in self.filter_groups):
            raise ValueError("HubSpot takes at most 6 filters in a group")
        if sum(len(group.filters) for group in self.filter_groups) > 18:
            raise ValueError("HubSpot takes at most 18 filters in all")
        return self

    def body(self) -> dict[str, object]:
        """The JSON that is sent."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


class ErrorDetail(_Model):
    """One of the reasons in an error: `message`, `code`, which field (`in`) and a context of names and values."""

    message: str = ""
    code: str | None = None
    field: str | None = Field(None, alias="in")
    context: dict[str, list[str]] = Field(default_factory=dict)

    @field_validator("context", mode="before")
    @classmethod
    def _as_lists(cls, value: object) -> object:
        return as_context(value)


class HubSpotError(_Model):
    """The body of an error, or one of the errors in a 207.

    `category`: VALIDATION_ERROR, OBJECT_NOT_FOUND, CONFLICT, MISSING_SCOPES, RATE_LIMITS, …; `policy_name` says which
    limit was met (TEN_SECONDLY_ROLLING, SECONDLY, DAILY). Every field may be missing.
    """

    message: str = ""
    category: str | None = None
    sub_category: str | None = None
    correlation_id: str | None = None
    policy_name: str | None = None
    error_type: str | None = None
    status: str | None = None
    id: str | None = None
    context: dict[str, list[str]] = Field(default_factory=dict)
    errors: tuple[ErrorDetail, ...] = ()

    @field_validator("sub_category", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return value if value is None or isinstance(value, str) else str(value)

    @field_validator("context", mode="before")
    @classmethod
    def _as_lists(cls, value: object) -> object:
        return as_context(value)

    @property
    def description(self) -> str:
        """The message with its details: what a person needs to see."""
        details = [detail.message for detail in self.errors if detail.message and detail.message not in self.message]
        return " | ".join([part for part in (self.message, *details) if part]) or (self.category or "no message")


def as_context(value: object) -> dict[str, list[str]]:
    """A context as lists of strings; HubSpot writes lists, single values and, in places, a text of them."""
    if not isinstance(value, Mapping):
        return {} if value is None else {"text": [str(value)]}
    return {
        str(name): [str(item) for item in found]
        if isinstance(found, Sequence) and not isinstance(found, str)
        else [str(found)]
        for name, found in value.items()
    }


def next_after(answer: Mapping[str, object]) -> str | None:
    """`paging.next.after` of an answer, None where there is no further page."""
    paging = answer.get("paging")
    following = paging.get("next") if isinstance(paging, Mapping) else None
    after = following.get("after") if isinstance(following, Mapping) else None
    return None if after is None else str(after)


def milliseconds(moment: datetime) -> int:
    """An aware moment as milliseconds since 1970, rounded down. Raises `ValueError` on a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no timezone")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
