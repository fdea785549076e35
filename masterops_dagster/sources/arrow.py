"""Records to Arrow tables with pinned types, column by column. A value that breaks its type takes its row out.

What a type accepts, in every system: an empty string is null (HubSpot clears a property with it, WooCommerce has no
null for text); numbers and booleans may be strings; a timestamp is ISO 8601 with a zone, or milliseconds since the
epoch. A whole column is converted at once; only where that fails are its values looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from masterops_dagster.sources.catalogue import table_columns
from masterops_dagster.sources.stream import Column, Stream, Type

Record = Mapping[str, Any]

ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.TEXT: pa.string(),
    Type.INTEGER: pa.int64(),
    Type.BOOLEAN: pa.bool_(),
    Type.DECIMAL: pa.decimal128(24, 6),
    Type.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    Type.DATE: pa.date32(),
    Type.JSON: pa.string(),
}
"""JSON travels as compact text: nested Arrow types never become tables, and kill a parquet load."""

SIXTH_DIGIT = Decimal("0.000001")
DIGITS = Context(prec=24)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUL = b"\x00"

_encode_json = msgspec.json.Encoder(decimal_format="number").encode


class Unfit(Exception):
    """A value that can't be of its column's type; the message says why."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that doesn't fit: its place among the records, the first column that it breaks, all reasons."""

    index: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Converted:
    """The rows that fit, which records they are, those that don't fit, and how often each unknown field was seen."""

    table: pa.Table
    accepted: Sequence[int]
    rejected: tuple[Rejected, ...]
    unknown_fields: Counter[str]


def arrow_schema(stream: Stream) -> pa.Schema:
    """The pinned schema of the stream's raw table."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in table_columns(stream)])


def dump_json(value: object) -> str:
    """Compact JSON; decimals keep their digits."""
    return _encode_json(value).decode()


class Converter:
    """Converts the records of one stream. `also_known` are fields that belong to other streams: a parent's items.

    Only top-level fields count as unknown: inside an object of which one field is a column, the others are not kept.
    """

    def __init__(self, stream: Stream, also_known: Sequence[str] = ()) -> None:
        self.stream = stream
        self.schema = arrow_schema(stream)
        self._columns = table_columns(stream)
        self._known = frozenset(column.path.split(".")[0] for column in self._columns if column.path) | {
            field.split(".")[0] for field in also_known
        }
        self._getters = {column.name: _getter(column.path) for column in self._columns if column.path}

    def convert(self, records: Sequence[Record], filled: Mapping[str, object]) -> Converted:
        """`filled` holds the columns without a path: a list with a value per record, or one value for all.

        Columns that stand in neither are null. A key that is null breaks its row.
        """
        rejected: dict[int, list[tuple[str, str]]] = {}
        arrays = self._arrays(records, filled, rejected)
        accepted: Sequence[int] = range(len(records))
        if rejected:
            accepted = [index for index in accepted if index not in rejected]
            records = [records[index] for index in accepted]
            filled = {
                name: [values[index] for index in accepted] if isinstance(values, list) else values
                for name, values in filled.items()
            }
            arrays = self._arrays(records, filled, {})
        unknown: Counter[str] = Counter()
        arrays["_extra"] = self._extra(records, unknown)
        return Converted(
            table=pa.table([arrays[name] for name in self.schema.names], schema=self.schema),
            accepted=accepted,
            rejected=tuple(
                Rejected(index, broken[0][0], "; ".join(f"{column}: {reason}" for column, reason in broken))
                for index, broken in sorted(rejected.items())
            ),
            unknown_fields=unknown,
        )

    def _arrays(
        self, records: Sequence[Record], filled: Mapping[str, object], rejected: dict[int, list[tuple[str, str]]]
    ) -> dict[str, pa.Array]:
        arrays = {}
        for column in self._columns:
            arrow_type = ARROW_TYPES[column.type]
            given = filled.get(column.name)
            if column.path or isinstance(given, list):
                broken, values = self._values(records, column, given)
                array, unfit = _array(column.type, values)
                if column.name in self.stream.key and array.null_count:
                    missing = pc.indices_nonzero(array.is_null()).to_pylist()
                    unfit = dict.fromkeys(missing, "is missing, and is part of the key") | unfit
                for index, reason in sorted((unfit | broken).items()):
                    rejected.setdefault(index, []).append((column.name, reason))
            elif given is None:
                array = pa.nulls(len(records), arrow_type)
            else:
                array = pa.repeat(pa.scalar(given, arrow_type), len(records))
            arrays[column.name] = array
        return arrays

    def _values(
        self, records: Sequence[Record], column: Column, given: object
    ) -> tuple[dict[int, str], Sequence[object]]:
        """The column's raw values; records in which the path leads through something that is no object are broken."""
        if isinstance(given, list):
            return {}, given
        get = self._getters[column.name]
        try:
            return {}, get(records)
        except AttributeError:
            broken: dict[int, str] = {}
            values: list[object] = []
            for index, record in enumerate(records):
                try:
                    values.extend(get((record,)))
                except AttributeError:
                    broken[index] = f"{column.path} leads through a value that is no object"
                    values.append(None)
            return broken, values

    def _extra(self, records: Sequence[Record], unknown: Counter[str]) -> pa.Array:
        """What no column names, as JSON. Records of one kind have the same fields, so each kind is looked at once."""
        kinds: Counter[tuple[str, ...]] = Counter()
        strangers: dict[tuple[str, ...], tuple[str, ...]] = {}
        dumped: list[bytes | None] = []
        known = self._known
        for record in records:
            fields = tuple(record)
            if fields in strangers:
                names = strangers[fields]
            else:
                names = strangers[fields] = tuple(field for field in fields if field not in known)
            if names:
                kinds[fields] += 1
                dumped.append(_encode_json({name: record[name] for name in names}))
            else:
                dumped.append(None)
        for fields, times in kinds.items():
            unknown.update(dict.fromkeys(strangers[fields], times))
        return pa.array(dumped, pa.string())


def _getter(path: str) -> Callable[[Sequence[Record]], Sequence[object]]:
    """Reads one path out of many records; a level that is absent, null or empty (PHP's `[]`) gives null."""
    *outer, last = path.split(".")
    if not outer:
        return lambda records: [record.get(last) for record in records]
    parent = _getter(".".join(outer))

    def values(records: Sequence[Record]) -> Sequence[object]:
        inners: Sequence[Any] = parent(records)
        try:
            return [inner[last] for inner in inners]
        except (KeyError, TypeError, IndexError):  # not everywhere: one by one
            return [inner.get(last) if inner else None for inner in inners]

    return values


# ---- one column at once


def _array(kind: Type, values: Sequence[object]) -> tuple[pa.Array, dict[int, str]]:
    """The values as the type's array, and by place those that don't fit, which are null in it."""
    try:
        return _COLUMN[kind](values), {}
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        fitting: list[object] = []
        unfit: dict[int, str] = {}
        for index, value in enumerate(values):
            try:
                fitting.append(_VALUE[kind](value))
            except Unfit as broken:
                fitting.append(None)
                unfit[index] = str(broken)
        return pa.array(fitting, ARROW_TYPES[kind]), unfit


def _strings(values: Sequence[object]) -> pa.Array:
    """Raises where a value is neither string nor null."""
    strings = pa.array(values, pa.string())
    empty = pc.equal(pc.binary_length(strings), 0)
    return pc.if_else(empty, None, strings) if pc.any(empty).as_py() else strings


def _text_column(values: Sequence[object]) -> pa.Array:
    strings = _strings(values)
    characters = strings.buffers()[2]
    if characters is not None and NUL in characters.to_pybytes():
        raise ValueError("PostgreSQL's text holds no NUL")
    return strings


def _integer_column(values: Sequence[object]) -> pa.Array:
    if _first_is_string(values):
        return _strings(values).cast(pa.int64())
    numbers = pa.array(values)  # not pa.array(values, pa.int64()): that cuts Decimal("3.5") down to 3
    if pa.types.is_boolean(numbers.type):
        raise TypeError("booleans are no numbers")
    return numbers.cast(pa.int64())


def _boolean_column(values: Sequence[object]) -> pa.Array:
    return _strings(values).cast(pa.bool_()) if _first_is_string(values) else pa.array(values, pa.bool_())


def _decimal_column(values: Sequence[object]) -> pa.Array:
    target = ARROW_TYPES[Type.DECIMAL]
    return _strings(values).cast(target) if _first_is_string(values) else pa.array(values, target)


def _timestamp_column(values: Sequence[object]) -> pa.Array:
    target = ARROW_TYPES[Type.TIMESTAMP]
    if _first_is_string(values):
        return _strings(values).cast(target)
    if isinstance(_first(values), datetime):
        return pa.array(values, target)
    return _integer_column(values).cast(pa.timestamp("ms", tz="UTC")).cast(target)


def _json_column(values: Sequence[object]) -> pa.Array:
    return pa.array([None if value is None else dump_json(value) for value in values], pa.string())


def _first(values: Sequence[object]) -> object:
    return next((value for value in values if value is not None), None)


def _first_is_string(values: Sequence[object]) -> bool:
    return isinstance(_first(values), str)


_COLUMN: dict[Type, Callable[[Sequence[object]], pa.Array]] = {
    Type.TEXT: _text_column,
    Type.INTEGER: _integer_column,
    Type.BOOLEAN: _boolean_column,
    Type.DECIMAL: _decimal_column,
    Type.TIMESTAMP: _timestamp_column,
    Type.DATE: lambda values: pa.array(values, pa.date32()),
    Type.JSON: _json_column,
}


# ---- one value at a time


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if "\x00" in value:
            raise Unfit("a text with a NUL character, which PostgreSQL can't hold")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("a text with half of a surrogate pair") from None
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise Unfit(f"{_shown(value)} is no text")


def _integer(value: object) -> int | None:
    number = _number(value, "whole number")
    if number is None:
        return None
    if number != number.to_integral_value() or not -(2**63) <= number < 2**63:
        raise Unfit(f"{_shown(value)} is no whole number of 64 bits")
    return int(number)


def _decimal(value: object) -> Decimal | None:
    number = _number(value, "number")
    if number is None:
        return None
    try:
        return number.quantize(SIXTH_DIGIT, rounding=ROUND_HALF_EVEN, context=DIGITS)
    except InvalidOperation:
        raise Unfit(f"{_shown(value)} has more than 18 digits before the point") from None


def _number(value: object, wanted: str) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal) or "_" in str(value):
        raise Unfit(f"{_shown(value)} is no {wanted}")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Unfit(f"{_shown(value)} is no {wanted}") from None
    if not number.is_finite():
        raise Unfit(f"{_shown(value)} is no {wanted}")
    return number


def _boolean(value: object) -> bool | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise Unfit(f"{_shown(value)} is neither true nor false")


def _timestamp(value: object) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and not value.lstrip("-").isdigit():
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Unfit(f"{_shown(value)} is no timestamp") from None
        if moment.tzinfo is None:
            raise Unfit(f"{_shown(value)} has no zone")
        return moment.astimezone(UTC)
    milliseconds = _integer(value)
    assert milliseconds is not None
    try:
        return EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise Unfit(f"{_shown(value)} is no timestamp within the years 1 to 9999") from None


def _date(value: object) -> date | None:
    if value is None or type(value) is date:
        return value
    raise Unfit(f"{_shown(value)} is no date")


def _json(value: object) -> str | None:
    if value is None:
        return None
    try:
        return dump_json(value)
    except (TypeError, ValueError) as error:
        raise Unfit(f"no JSON: {error}") from None


def _shown(value: object) -> str:
    """A value as a reason quotes it: at most 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


_VALUE: dict[Type, Callable[[object], object]] = {
    Type.TEXT: _text,
    Type.INTEGER: _integer,
    Type.BOOLEAN: _boolean,
    Type.DECIMAL: _decimal,
    Type.TIMESTAMP: _timestamp,
    Type.DATE: _date,
    Type.JSON: _json,
}
