"""HubSpot batches: every input has one outcome, whatever an answer says or leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from masterops_dagster.connectors.errors import (
    Conflict,
    ConnectorError,
    MalformedResponse,
    NotFound,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.hubspot import BatchInput, batch

Chunk = Sequence[tuple[int, BatchInput]]
Answer = dict[str, object]
OPERATION = batch.Operation("hubspot", "hubspot", "batch update contacts")


def inputs(count: int) -> list[BatchInput]:
    return [BatchInput(id=str(n), properties={"city": f"City {n}"}) for n in range(count)]


def echo(given: BatchInput, **more: object) -> Answer:
    return {"id": given.id, "properties": dict(given.properties or {}), **more}


def all_well(chunk: Chunk) -> Answer:
    return {"status": "COMPLETE", "results": [echo(given) for _, given in chunk]}


def fault(kind: type[ConnectorError]) -> ConnectorError:
    return kind("no", system="hubspot", account="hubspot", operation="batch update contacts")


def refusing(bad: set[str], sent: list[int], kind: type[ConnectorError] = Rejected) -> Callable[[Chunk], Answer]:
    """Refuses a request as a whole if one of these ids is in it."""

    def send(chunk: Chunk) -> Answer:
        sent.append(len(chunk))
        if any(given.id in bad for _, given in chunk):
            raise fault(kind)
        return all_well(chunk)

    return send


@pytest.mark.parametrize(
    ("count", "requests"), [(0, []), (1, [1]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])]
)
def test_inputs_are_sent_a_hundred_at_a_time_and_none_is_lost(count: int, requests: list[int]) -> None:
    sent: list[int] = []
    result = batch.run(OPERATION, inputs(count), refusing(set(), sent))
    assert sent == requests
    assert [outcome.index for outcome in result.succeeded] == list(range(count))
    assert not result.failed


def test_two_changes_of_one_object_travel_apart_and_in_order() -> None:
    chunks: list[list[str | None]] = []

    def send(chunk: Chunk) -> Answer:
        chunks.append([given.id for _, given in chunk])
        return all_well(chunk)

    given = [BatchInput(id=one, properties={"n": str(n)}) for n, one in enumerate(["a", "b", "a", "a", "c"])]
    result = batch.run(OPERATION, given, send)
    assert chunks == [["a", "b"], ["a"], ["a", "c"]]
    assert [outcome.object and outcome.object.properties["n"] for outcome in result.outcomes] == [
        "0",
        "1",
        "2",
        "3",
        "4",
    ]


def test_results_in_another_order_find_their_inputs() -> None:
    result = batch.run(OPERATION, inputs(5), lambda chunk: {"results": [echo(given) for _, given in reversed(chunk)]})
    assert [outcome.object and outcome.object.id for outcome in result.outcomes] == ["0", "1", "2", "3", "4"]


def test_a_207_is_read_item_by_item() -> None:
    def send(chunk: Chunk) -> Answer:
        return {
            "status": "COMPLETE",
            "numErrors": 2,
            "results": [echo(given) for _, given in chunk if given.id not in {"1", "3"}],
            "errors": [
                {"status": "error", "category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": ["3"]}},
                {"category": "VALIDATION_ERROR", "message": "bad city", "context": {"objectWriteTraceId": ["1"]}},
            ],
        }

    result = batch.run(OPERATION, inputs(5), send)
    assert [outcome.index for outcome in result.succeeded] == [0, 2, 4]
    bad, gone = result.failed
    assert (type(bad.error), type(gone.error)) == (Rejected, NotFound)
    assert "bad city" in str(bad.error)
    assert "gone" in str(gone.error)


def test_a_trace_id_is_never_taken_for_an_object_id() -> None:
    given = [BatchInput(id="1", properties={}), BatchInput(id="0", properties={})]
    error = {"category": "VALIDATION_ERROR", "message": "no", "context": {"objectWriteTraceId": ["0"]}}
    result = batch.run(OPERATION, given, lambda chunk: {"results": [echo(given[1])], "errors": [error]})
    assert [outcome.succeeded for outcome in result.outcomes] == [False, True]


def test_creates_are_matched_by_trace_id_even_if_their_values_are_the_same() -> None:
    given = [BatchInput(properties={"dealname": "Same"}) for _ in range(3)]

    def send(chunk: Chunk) -> Answer:
        made = [{"id": str(900 + index), "objectWriteTraceId": str(index)} for index, _ in chunk]
        return {"results": list(reversed(made))}

    result = batch.run(OPERATION, given, send)
    assert [outcome.object and outcome.object.id for outcome in result.outcomes] == ["900", "901", "902"]


def test_creates_without_trace_ids_in_the_answer_are_matched_by_their_values_only_where_these_are_unique() -> None:
    given = [BatchInput(properties={"dealname": name, "amount": "1"}) for name in ("A", "B", "B")]

    def send(chunk: Chunk) -> Answer:
        names = [(n, (one.properties or {})["dealname"]) for n, one in reversed(chunk)]
        return {
            "results": [{"id": str(n), "properties": {"dealname": name, "pipeline": "default"}} for n, name in names]
        }

    first, *twins = batch.run(OPERATION, given, send).outcomes
    assert first.object is not None
    assert first.object.id == "0"
    assert all(isinstance(twin.error, MalformedResponse) and not twin.error.retryable for twin in twins)


def test_an_upsert_by_email_matches_whatever_the_case_and_says_what_is_new() -> None:
    operation = batch.Operation("hubspot", "hubspot", "batch upsert contacts", id_property="email")
    given = [BatchInput(id="Ann@Example.com", properties={}), BatchInput(id="bob@example.com", properties={})]
    results = [
        {"id": "8", "properties": {"email": "bob@example.com"}, "new": True},
        {"id": "7", "properties": {"email": "ann@example.com"}, "new": False},
    ]
    result = batch.run(operation, given, lambda chunk: {"results": results})
    assert [(o.object.id, o.object.new) for o in result.outcomes if o.object] == [("7", False), ("8", True)]


def test_an_object_that_was_merged_is_found_as_its_survivor() -> None:
    survivor = {"id": "70", "properties": {"hs_merged_object_ids": "7;8"}}
    result = batch.run(OPERATION, [BatchInput(id="7")], lambda chunk: {"results": [survivor]})
    assert [found.id for found in result.objects] == ["70"]


def test_what_an_answer_does_not_account_for_has_failed() -> None:
    result = batch.run(OPERATION, inputs(3), lambda chunk: {"results": [echo(chunk[0][1])]})
    assert [outcome.succeeded for outcome in result.outcomes] == [True, False, False]
    assert all(isinstance(outcome.error, MalformedResponse) for outcome in result.failed)


def test_an_error_that_names_nobody_is_given_to_those_who_are_not_confirmed() -> None:
    error = {"category": "CONFLICT", "message": "Contact already exists"}
    result = batch.run(OPERATION, inputs(3), lambda chunk: {"results": [echo(chunk[1][1])], "errors": [error]})
    assert [type(outcome.error) for outcome in result.outcomes] == [Conflict, type(None), Conflict]


def test_an_input_that_failed_inside_hubspot_may_be_tried_again() -> None:
    error = {"category": "INTERNAL_ERROR", "message": "internal error", "context": {"objectWriteTraceId": ["1"]}}
    result = batch.run(OPERATION, inputs(2), lambda chunk: {"results": [echo(chunk[0][1])], "errors": [error]})
    assert [type(outcome.error) for outcome in result.failed] == [Unavailable]
    assert result.failed[0].error
    assert result.failed[0].error.retryable


def test_an_archive_without_an_answer_has_succeeded() -> None:
    operation = batch.Operation("hubspot", "hubspot", "batch archive contacts", answers_objects=False)
    result = batch.run(operation, inputs(120), lambda chunk: None)
    assert len(result.succeeded) == 120
    assert not result.objects


@pytest.mark.parametrize("kind", [Rejected, Conflict, NotFound])
def test_one_bad_input_does_not_keep_the_other_ninety_nine_from_going_through(kind: type[ConnectorError]) -> None:
    sent: list[int] = []
    result = batch.run(OPERATION, inputs(100), refusing({"37"}, sent, kind))
    assert [outcome.index for outcome in result.failed] == [37]
    assert isinstance(result.failed[0].error, kind)
    assert len(sent) <= 1 + batch.MAX_SPLITS


def test_a_mistake_in_all_inputs_does_not_eat_up_the_days_requests() -> None:
    sent: list[int] = []
    everything = {str(n) for n in range(1_000)}
    result = batch.run(OPERATION, inputs(1_000), refusing(everything, sent))
    assert len(result.failed) == 1_000
    assert len(sent) <= 10 + batch.MAX_SPLITS


def test_an_outage_at_the_first_request_is_raised() -> None:
    def send(chunk: Chunk) -> Answer:
        raise fault(Unavailable)

    with pytest.raises(Unavailable):
        batch.run(OPERATION, inputs(150), send)


def test_an_outage_later_does_not_lose_what_was_confirmed_before() -> None:
    def send(chunk: Chunk) -> Answer:
        if chunk[0][0] >= 100:
            raise fault(Unavailable)
        return all_well(chunk)

    result = batch.run(OPERATION, inputs(250), send)
    assert [outcome.index for outcome in result.succeeded] == list(range(100))
    assert all(isinstance(outcome.error, Unavailable) for outcome in result.failed)
    assert len(result.failed) == 150


def test_clearing_a_property_is_sent_as_the_empty_string() -> None:
    assert BatchInput(id="1", properties={"city": None}).body("0") == {
        "id": "1",
        "properties": {"city": ""},
        "objectWriteTraceId": "0",
    }
