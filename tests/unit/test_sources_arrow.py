from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masterops_dagster.sources.arrow import Converter, arrow_schema
from masterops_dagster.sources.stream import Column, Stream, Type, columns

EVERYTHING = Stream(
    "things",
    resource="things",
    description="One column of every type.",
    columns=columns(
        id=Type.TEXT,
        count=Type.INTEGER,
        flag=Type.BOOLEAN,
        amount=Type.DECIMAL,
        at=Type.TIMESTAMP,
        tags=Type.JSON,
        code=(Type.TEXT, "Customer.Code"),
        deep=(Type.TEXT, "a.b.c"),
    ),
)


def convert(*records, stream=EVERYTHING, **filled):
    return Converter(stream).convert(list(records), {"_load_id": 7, **filled})


def only(**fields):
    (row,) = convert({"id": "1", **fields}).table.to_pylist()
    return row


def test_the_schema_is_pinned_whatever_the_records_hold():
    assert convert({"id": "1"}).table.schema == arrow_schema(EVERYTHING)
    assert convert().table.schema == arrow_schema(EVERYTHING)


@pytest.mark.parametrize(
    ("field", "said", "stored"),
    [
        ("count", "12", 12),
        ("count", Decimal("3"), 3),
        ("count", "3.0", 3),
        ("count", "", None),
        ("flag", "true", True),
        ("flag", "FALSE", False),
        ("flag", "", None),
        ("amount", 3, Decimal("3.000000")),
        ("amount", "-12.50", Decimal("-12.500000")),
        ("amount", "1e3", Decimal("1000.000000")),
        ("amount", Decimal("0.1234565"), Decimal("0.123456")),
        ("amount", Decimal("0.1234575"), Decimal("0.123458")),
        ("amount", "", None),
        ("at", "2026-10-03T16:00:00.123Z", datetime(2026, 10, 3, 16, 0, 0, 123000, UTC)),
        ("at", "2026-10-04T03:00:00+11:00", datetime(2026, 10, 3, 16, 0, tzinfo=UTC)),
        ("at", "2026-10-03T16:00:00.1234567Z", datetime(2026, 10, 3, 16, 0, 0, 123456, UTC)),
        ("at", 1700000000123, datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)),
        ("at", "1700000000123", datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)),
        ("at", "", None),
        ("tags", [], "[]"),
        ("tags", [{"price": Decimal("1.10"), "näme": "茸"}], '[{"price":1.10,"näme":"茸"}]'),
        ("tags", None, None),
        ("Customer", {"Code": "C1"}, None),
        ("Customer", None, None),
        ("Customer", [], None),
    ],
)
def test_what_a_system_says_becomes_the_declared_type(field, said, stored):
    row = only(**{field: said})
    if field != "Customer":
        assert row[field] == stored
    assert convert({"id": "1", field: said}).rejected == ()


def test_a_value_is_read_the_same_alone_and_among_others_of_another_form():
    strings = convert({"id": "1", "amount": "1.5"}, {"id": "2", "amount": 2}, {"id": "3", "amount": Decimal("3.25")})
    assert [row["amount"] for row in strings.table.to_pylist()] == [Decimal("1.5"), Decimal(2), Decimal("3.25")]
    numbers = convert({"id": 1}, {"id": "2"}, {"id": Decimal("3")})
    assert [row["id"] for row in numbers.table.to_pylist()] == ["1", "2", "3"]


def test_nested_paths_lead_through_absent_levels():
    assert only(Customer={"Code": "C1"})["code"] == "C1"
    assert only(a={"b": {"c": "x"}})["deep"] == "x"
    assert only(a={"b": None})["deep"] is None
    assert only(a={})["deep"] is None


@pytest.mark.parametrize(
    ("field", "said", "column"),
    [
        ("count", "many", "count"),
        ("count", Decimal("3.5"), "count"),
        ("count", True, "count"),
        ("count", 2**70, "count"),
        ("flag", "perhaps", "flag"),
        ("flag", 2, "flag"),
        ("amount", "1,234.50", "amount"),
        ("amount", "1_000", "amount"),
        ("amount", Decimal("NaN"), "amount"),
        ("amount", "Infinity", "amount"),
        ("amount", Decimal(10) ** 18, "amount"),
        ("amount", {"value": 1}, "amount"),
        ("at", "2026-10-03T16:00:00", "at"),
        ("at", "yesterday", "at"),
        ("at", 10**18, "at"),
        ("at", True, "at"),
        ("id", None, "id"),
        ("id", "", "id"),
        ("id", ["1"], "id"),
        ("id", "a\x00b", "id"),
        ("id", "\ud800", "id"),
        ("Customer", "C1", "code"),
        ("a", {"b": "c"}, "deep"),
    ],
)
def test_a_value_that_breaks_its_type_takes_only_its_own_row_out(field, said, column):
    converted = convert({"id": "1"}, {"id": "2", field: said}, {"id": "3"})
    (rejected,) = converted.rejected
    assert (rejected.index, rejected.column) == (1, column)
    assert rejected.reason.startswith(f"{column}: ")
    assert list(converted.accepted) == [0, 2]
    assert converted.table.column("id").to_pylist() == ["1", "3"]


def test_all_reasons_of_a_row_are_told():
    (rejected,) = convert({"id": "1", "count": "many", "at": "never"}).rejected
    assert rejected.reason == "count: 'many' is no whole number; at: 'never' is no timestamp"


def test_a_record_that_is_no_object_is_rejected():
    converted = convert({"id": "1"}, None, "x")
    assert [r.index for r in converted.rejected] == [1, 2]
    assert converted.table.num_rows == 1


def test_fields_that_no_column_names_are_kept_and_counted():
    converted = convert({"id": "1", "colour": "red", "size": Decimal("1.50")}, {"id": "2", "colour": None}, {"id": "3"})
    assert converted.table.column("_extra").to_pylist() == ['{"colour":"red","size":1.50}', '{"colour":null}', None]
    assert converted.unknown_fields == {"colour": 2, "size": 1}


def test_an_items_list_belongs_to_the_children_and_is_not_unknown():
    assert Converter(EVERYTHING, also_known=("Lines",)).convert([{"id": "1", "Lines": []}], {}).unknown_fields == {}


def test_filled_columns_are_cut_with_the_rejected_rows():
    lines = Stream(
        "lines",
        resource="",
        description="",
        key=("parent_id", "id"),
        parent="things",
        parent_key="parent_id",
        columns=(Column("parent_id", Type.TEXT, ""), *columns(id=Type.TEXT, amount=Type.DECIMAL)),
    )
    converted = convert({"id": "1"}, {"id": "2", "amount": "x"}, {"id": "3"}, stream=lines, parent_id=["p", "p", "q"])
    assert converted.table.select(["parent_id", "id", "_load_id"]).to_pylist() == [
        {"parent_id": "p", "id": "1", "_load_id": 7},
        {"parent_id": "q", "id": "3", "_load_id": 7},
    ]


SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["2026-01-01T00:00:00Z", "true", "1.5", "", "a\x00"])
)
JSON_VALUE = SCALAR | st.lists(SCALAR, max_size=2) | st.dictionaries(st.sampled_from(["Code", "b"]), SCALAR, max_size=2)
FIELDS = st.sampled_from(["id", "count", "flag", "amount", "at", "tags", "Customer", "a", "other"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(FIELDS, JSON_VALUE, max_size=4), max_size=4))
def test_no_record_is_lost_and_none_breaks_the_batch(records):
    converted = convert(*records)
    assert converted.table.num_rows + len(converted.rejected) == len(records)
    assert sorted([*converted.accepted, *(r.index for r in converted.rejected)]) == list(range(len(records)))
    for index, row in zip(converted.accepted, converted.table.to_pylist(), strict=True):
        (alone,) = convert(records[index]).table.to_pylist()
        assert alone == row, "a row must not depend on its neighbours"
