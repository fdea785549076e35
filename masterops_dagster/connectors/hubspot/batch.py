"""Batches of any length, sent a hundred at a time and read item by item: every input has exactly one outcome.

HubSpot answers 207 when some inputs of a batch failed. Which ones, it says by `objectWriteTraceId`, which is sent with
every write, or by ids in the errors' context; what the answer does not account for is an error too, never a success.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from masterops_dagster.connectors.errors import (
    Conflict,
    ConnectorError,
    MalformedResponse,
    NotFound,
    Rejected,
    Unavailable,
)
from masterops_dagster.connectors.hubspot.models import AssociationType, HubSpotError, HubSpotObject

MAX_INPUTS = 100
MAX_SPLITS = 32
"""How many more requests one refused batch of a hundred may cost until its offenders are found."""

BatchAnswer = Mapping[str, object] | None
"""The body of the answer; None where there is none (204)."""


class AssociationTarget(BaseModel):
    """An object with which a new one is to be associated, and how."""

    model_config = ConfigDict(frozen=True)

    to_id: str
    types: tuple[AssociationType, ...]

    def body(self) -> dict[str, object]:
        """The JSON that is sent."""
        types = [{"associationCategory": kind.category, "associationTypeId": kind.type_id} for kind in self.types]
        return {"to": {"id": self.to_id}, "types": types}


class BatchInput(BaseModel):
    """One item of a batch. `id` is the object's, or the value of the batch's `id_property`; a create has none."""

    model_config = ConfigDict(frozen=True)

    id: str | None = None
    properties: dict[str, str | None] | None = None
    associations: tuple[AssociationTarget, ...] = ()

    def body(self, trace_id: str | None = None, id_property: str | None = None) -> dict[str, object]:
        """The JSON that is sent; None as a value clears a property, which HubSpot expects as the empty string."""
        fields: dict[str, object] = {}
        if self.id is not None:
            fields["id"] = self.id
        if self.properties is not None:
            fields["properties"] = {name: "" if value is None else value for name, value in self.properties.items()}
        if self.associations:
            fields["associations"] = [target.body() for target in self.associations]
        if trace_id is not None:
            fields["objectWriteTraceId"] = trace_id
        if id_property is not None:
            fields["idProperty"] = id_property
        return fields


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the input at `index`. Either `error` is set, or it succeeded: `object` is what HubSpot answered,
    None where it answers nothing (archive)."""

    index: int
    input: BatchInput
    object: HubSpotObject | None = None
    error: ConnectorError | None = None

    @property
    def succeeded(self) -> bool:
        """Whether HubSpot confirmed it."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcomes of all inputs, in their order."""

    outcomes: tuple[Outcome, ...]

    @property
    def succeeded(self) -> tuple[Outcome, ...]:
        """What HubSpot confirmed."""
        return tuple(outcome for outcome in self.outcomes if outcome.succeeded)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """What it refused or did not account for; `error.retryable` says whether trying again can help."""
        return tuple(outcome for outcome in self.outcomes if not outcome.succeeded)

    @property
    def objects(self) -> tuple[HubSpotObject, ...]:
        """The objects of the answers."""
        return tuple(outcome.object for outcome in self.outcomes if outcome.object is not None)


@dataclass(frozen=True, slots=True)
class Operation:
    """Names a batch in errors, and says how its answers are matched: `id_property` is the property that `id` holds."""

    system: str
    account: str
    name: str
    id_property: str | None = None
    answers_objects: bool = True


_Pending = Sequence[tuple[int, BatchInput]]


def run(
    operation: Operation, inputs: Sequence[BatchInput], send: Callable[[Sequence[tuple[int, BatchInput]]], BatchAnswer]
) -> BatchResult:
    """Sends all inputs by `send`, at most 100 and never one id twice in a request, later inputs after earlier ones.

    A request that HubSpot refuses as a whole (400, 404, 409) is split until the offenders stand alone and the others
    went through; where splitting saved nothing, later refusals are taken as they come. An error of the account or the
    network is raised if nothing was confirmed before; otherwise the inputs from there on carry it, so that what was
    confirmed is not lost.
    """
    outcomes: dict[int, Outcome] = {}
    chunks = list(_chunks(list(enumerate(inputs))))
    may_split = True
    for number, chunk in enumerate(chunks):
        try:
            answered = _send(operation, chunk, send, MAX_SPLITS if may_split else 0)
        except ConnectorError as error:
            if not any(outcome.succeeded for outcome in outcomes.values()):
                raise
            rest = [pending for later in chunks[number:] for pending in later]
            outcomes.update({index: Outcome(index, given, error=error) for index, given in rest})
            break
        outcomes.update({outcome.index: outcome for outcome in answered})
        may_split = may_split and any(outcome.succeeded for outcome in answered)
    return BatchResult(tuple(outcomes[index] for index in range(len(inputs))))


def _chunks(pending: _Pending) -> Iterator[list[tuple[int, BatchInput]]]:
    chunk: list[tuple[int, BatchInput]] = []
    ids: set[str] = set()
    for index, given in pending:
        if len(chunk) == MAX_INPUTS or given.id in ids:
            yield chunk
            chunk, ids = [], set()
        chunk.append((index, given))
        if given.id is not None:
            ids.add(given.id)
    if chunk:
        yield chunk


def _send(operation: Operation, chunk: _Pending, send: Callable[[_Pending], BatchAnswer], splits: int) -> list[Outcome]:
    """The outcomes of one chunk. Splits it in halves as often as `splits` allows, breadth first."""
    outcomes: list[Outcome] = []
    waiting: list[_Pending] = [chunk]
    while waiting:
        part = waiting.pop(0)
        try:
            outcomes.extend(_read(operation, part, send(part)))
        except (Rejected, Conflict, NotFound) as error:
            if len(part) > 1 and splits >= 2:
                splits -= 2
                waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
            else:
                outcomes.extend(Outcome(index, given, error=error) for index, given in part)
        except ConnectorError as error:
            if not any(outcome.succeeded for outcome in outcomes):
                raise
            for unsent in (part, *waiting):
                outcomes.extend(Outcome(index, given, error=error) for index, given in unsent)
            break
    return outcomes


def _read(operation: Operation, chunk: _Pending, answer: BatchAnswer) -> list[Outcome]:
    """Whose result, whose error, one outcome for each input."""
    try:
        results = [HubSpotObject.model_validate(item) for item in _items(answer, "results")]
        errors = [HubSpotError.model_validate(item) for item in _items(answer, "errors")]
    except ValidationError as error:
        raise _malformed(operation, f"the answer can't be read: {error.error_count()} faults") from error
    by_result = {key: found for found in reversed(results) for key in _result_keys(found, operation.id_property)}
    by_error = {key: found for found in reversed(errors) for key in _error_keys(found)}
    asked = {key for index, given in chunk for key in _input_keys(index, given)}
    unclaimed_errors = [found for found in errors if not asked.intersection(_error_keys(found))]
    unclaimed = [found for found in results if not asked.intersection(_result_keys(found, operation.id_property))]
    twins = _twins(chunk, unclaimed)
    outcomes = []
    for index, given in chunk:
        keys = _input_keys(index, given)
        found = next((by_result[key] for key in keys if key in by_result), None)
        fault = next((by_error[key] for key in keys if key in by_error), None)
        if found is None and fault is None:
            found = twins.get(index)
        if found is not None:
            outcomes.append(Outcome(index, given, object=found))
        elif fault is not None:
            outcomes.append(Outcome(index, given, error=_as_error(operation, fault)))
        elif unclaimed_errors:
            outcomes.append(Outcome(index, given, error=_as_error(operation, unclaimed_errors[0])))
        elif operation.answers_objects:
            outcomes.append(
                Outcome(index, given, error=_malformed(operation, "the answer does not say what became of it"))
            )
        else:
            outcomes.append(Outcome(index, given))
    return outcomes


_Key = tuple[str, str]
"""("trace", our trace id) or ("id", an object's id or the value of the id property, in lower case as e-mails are)."""

_TRACE = "objectWriteTraceId"


def _input_keys(index: int, given: BatchInput) -> list[_Key]:
    return [("trace", str(index)), *([("id", given.id.lower())] if given.id is not None else [])]


def _result_keys(found: HubSpotObject, id_property: str | None) -> list[_Key]:
    """A merged object answers under its survivor's id, which names the old ones if they were asked for."""
    ids = (found.id, *found.merged_ids) if id_property is None else (found.properties.get(id_property),)
    named: list[_Key] = [("id", value.lower()) for value in ids if value]
    return [("trace", found.object_write_trace_id), *named] if found.object_write_trace_id else named


def _error_keys(found: HubSpotError) -> list[_Key]:
    contexts = [found.context, *(detail.context for detail in found.errors)]
    keys: list[_Key] = [
        ("trace", value) if name == _TRACE else ("id", value.lower())
        for context in contexts
        for name, values in context.items()
        for value in values
    ]
    return [*keys, ("id", found.id.lower())] if found.id else keys


def _twins(chunk: _Pending, candidates: Sequence[HubSpotObject]) -> dict[int, HubSpotObject]:
    """For creates whose trace ids were not echoed: the objects that can only have come of one input, by its index.

    An object can come of an input if the values that both have are the same. Order is not relied upon: HubSpot doesn't
    promise any, and a wrong pair would give one customer another's id.
    """
    fitting: dict[int, list[int]] = {
        index: [number for number, found in enumerate(candidates) if _can_come_of(found, given)]
        for index, given in chunk
        if given.id is None
    }
    claims = Counter(number for numbers in fitting.values() for number in numbers)
    return {
        index: candidates[numbers[0]]
        for index, numbers in fitting.items()
        if len(numbers) == 1 and claims[numbers[0]] == 1
    }


def _can_come_of(found: HubSpotObject, given: BatchInput) -> bool:
    shared = [
        (sent, held)
        for name, sent in (given.properties or {}).items()
        if sent and (held := found.properties.get(name)) is not None
    ]
    return bool(shared) and all(sent.strip().lower() == held.lower() for sent, held in shared)


def _items(answer: BatchAnswer, name: str) -> Sequence[object]:
    found = (answer or {}).get(name)
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


_BY_CATEGORY: dict[str | None, type[ConnectorError]] = {
    "OBJECT_NOT_FOUND": NotFound,
    "CONFLICT": Conflict,
    "INTERNAL_ERROR": Unavailable,
}


def _as_error(operation: Operation, found: HubSpotError) -> ConnectorError:
    return _BY_CATEGORY.get(found.category, Rejected)(
        found.description,
        system=operation.system,
        account=operation.account,
        operation=operation.name,
        correlation_id=found.correlation_id,
    )


def _malformed(operation: Operation, detail: str) -> MalformedResponse:
    """Not retryable: the write may have happened."""
    return MalformedResponse(
        detail, system=operation.system, account=operation.account, operation=operation.name, retryable=False
    )
