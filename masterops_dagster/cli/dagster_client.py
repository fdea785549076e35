"""Dagster's GraphQL, as far as the CLI needs it: launch a run, follow it, list runs, ask how Dagster is.

Runs are launched here, through the webserver, so that they are queued, recorded and shown like any other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

import httpx

from masterops_dagster.cli.problems import Problem

PARTITION_TAGS = {"dagster/partition", "dagster/asset_partition_range_start"}
"""One of these stands on every run of days; without a kind of its own it is a backfill of them."""
KIND_TAG = "masterops/kind"
FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
ACTIVE = ("STARTING", "STARTED", "CANCELING")
EVENTS_PER_PAGE = 1000
PATIENCE = 60.0
"""Seconds for which a program that died is waited for: it is started again by itself."""
CODE_SERVER_AWAY = "Could not reach user code server"

LOCATIONS = """
{ workspaceOrError { __typename
    ... on PythonError { message }
    ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename
        ... on PythonError { message }
        ... on RepositoryLocation { name repositories { name } } } } } } }
"""
RELOAD = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } } } }
"""
TICK = """
mutation($schedule: ScheduleSelector!, $at: Float) {
    scheduleDryRun(selectorData: $schedule, timestamp: $at) { __typename
    ... on Error { message }
    ... on DryRunInstigationTick { evaluationResult {
        error { message } skipReason runRequests { tags { key value } } } } } }
"""
RUNS = """
query($filter: RunsFilter, $limit: Int) { runsOrError(filter: $filter, limit: $limit) { __typename
    ... on Error { message }
    ... on Runs { results {
        runId jobName status creationTime startTime endTime tags { key value } assetSelection { path } } } } }
"""
EVENTS = """
query($run: ID!, $cursor: String, $limit: Int) { runOrError(runId: $run) { __typename
    ... on Error { message }
    ... on Run { status eventConnection(afterCursor: $cursor, limit: $limit) { cursor hasMore events { __typename
        ... on MessageEvent { message stepKey timestamp level }
        ... on MaterializationEvent { assetKey { path } metadataEntries { label ... on IntMetadataEntry { intValue } } }
        ... on AssetCheckEvaluationEvent { evaluation { success severity checkName assetKey { path } } }
        ... on ExecutionStepFailureEvent { error { message causes { message } } }
        ... on RunFailureEvent { error { message causes { message } } } } } } } }
"""
JOB_ASSETS = """
query($job: PipelineSelector!) { assetNodes(pipeline: $job) { assetKey { path } } }
"""
TERMINATE = """
mutation($run: String!, $policy: TerminateRunPolicy!) { terminateRun(runId: $run, terminatePolicy: $policy) { __typename
    ... on Error { message } } }
"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatTime } } } }"

AssetPath: TypeAlias = tuple[str, ...]


class DagsterUnreachable(Problem):
    """The webserver does not answer."""


class DagsterRefused(Problem):
    """Dagster answered with an error; the message is its own."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as the list shows it. `kind` is live, sweep or backfill, and empty where it reads no system."""

    run_id: str
    job: str
    status: str
    kind: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    assets: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """How long it ran, or has been running."""
        if self.started_at is None:
            return None
        return ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class StepStarted:
    """An operation of the run began."""

    step: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """An operation of the run ended well."""

    step: str


@dataclass(frozen=True, slots=True)
class Materialized:
    """An asset was made; a partitioned one says so once for each partition. `rows` is None where it is not known."""

    asset: AssetPath
    rows: int | None


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """An asset check found something; `error` is False for a warning."""

    asset: AssetPath
    check: str
    error: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """An operation (or, where `step` is None, the whole run) failed."""

    step: str | None
    message: str


RunEvent: TypeAlias = StepStarted | StepFinished | Materialized | CheckFailed | Failed


@dataclass(frozen=True, slots=True)
class Repository:
    """Where the definitions are: names that GraphQL asks for in each selector."""

    name: str
    location: str


class Dagster:
    """A client of the webserver at `url`; a context manager."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False)
        self._repository: Repository | None = None

    def __enter__(self) -> Dagster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def answers(self) -> bool:
        """Whether the webserver is up, whatever state its code is in."""
        try:
            return self._client.get("/server_info", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def repository(self) -> Repository:
        """The loaded definitions. Raises `DagsterRefused` with the error with which they fail to load."""
        if self._repository is None:
            workspace = self._ask(LOCATIONS)["workspaceOrError"]
            _refuse(workspace, "Workspace")
            for entry in workspace["locationEntries"]:
                loaded = entry["locationOrLoadError"]
                if loaded is None or loaded["__typename"] != "RepositoryLocation":
                    message = loaded["message"] if loaded else f"still {entry['loadStatus'].lower()}"
                    raise DagsterRefused(f"Dagster can't load {entry['name']}: {message.strip()}")
                self._repository = Repository(loaded["repositories"][0]["name"], loaded["name"])
        if self._repository is None:
            raise DagsterRefused("Dagster has no code location")
        return self._repository

    def await_definitions(self) -> None:
        """Waits until the webserver has our definitions; a code server that died takes seconds to be back.

        Raises `DagsterRefused` with the error with which they fail.
        """
        deadline = time.monotonic() + PATIENCE / 2
        while True:
            try:
                self.repository()
            except DagsterRefused:
                if time.monotonic() > deadline:
                    raise
                self.reload("masterops")
                time.sleep(0.5)
            else:
                return

    def reload(self, location: str) -> None:
        """Has the webserver ask the code server anew."""
        self._ask(RELOAD, name=location)

    def job_assets(self, job: str) -> list[AssetPath]:
        """The assets that a job makes."""
        nodes = self._ask(JOB_ASSETS, job={**self._selector(), "pipelineName": job})["assetNodes"]
        return sorted(tuple(node["assetKey"]["path"]) for node in nodes)

    def tick_tags(self, schedule: str) -> dict[str, str]:
        """The tags that a run would get if the schedule ticked now. Raises `DagsterRefused` if it would launch none.

        A code server that is away for up to a minute is waited for: after it died it takes seconds to be back.
        """
        selector = {**self._selector(), "scheduleName": schedule}
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._ask(TICK, schedule=selector, at=time.time())["scheduleDryRun"]
            _refuse(answer, "DryRunInstigationTick")
            result = answer["evaluationResult"]
            if not result["error"]:
                break
            message = result["error"]["message"].strip()
            if CODE_SERVER_AWAY not in message or time.monotonic() > deadline:
                raise DagsterRefused(f"schedule {schedule} fails: {message}")
            time.sleep(0.5)
        if not result["runRequests"]:
            raise DagsterRefused(f"schedule {schedule} launches nothing: {result['skipReason'] or 'no reason given'}")
        return {tag["key"]: tag["value"] for tag in result["runRequests"][0]["tags"]}

    def launch(self, job: str, tags: Mapping[str, str], assets: Sequence[AssetPath] | None = None) -> str:
        """Queues a run of the job, of all its assets or of those given, and returns its id."""
        selector: dict[str, object] = {**self._selector(), "jobName": job}
        if assets is not None:
            selector["assetSelection"] = [{"path": list(path)} for path in assets]
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": "{}", "executionMetadata": metadata}
        answer = self._ask(LAUNCH, params=params)["launchRun"]
        _refuse(answer, "LaunchRunSuccess")
        run_id: str = answer["run"]["runId"]
        return run_id

    def runs(
        self,
        *,
        job: str | None = None,
        statuses: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        limit: int = 10,
    ) -> list[Run]:
        """The newest runs that fit."""
        wanted: dict[str, object] = {}
        if job:
            wanted["pipelineName"] = job
        if statuses:
            wanted["statuses"] = list(statuses)
        if tags:
            wanted["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        answer = self._ask(RUNS, filter=wanted, limit=limit)["runsOrError"]
        _refuse(answer, "Runs")
        return [_run(result) for result in answer["results"]]

    def follow(self, run_id: str, poll_seconds: float = 0.5) -> Iterator[RunEvent | None]:
        """The run's events as they come, None at each poll that brought none, until it has ended.

        A webserver that is away for up to a minute is waited for. The run's end status is in `runs` then.
        """
        cursor: str | None = None
        away_since: float | None = None
        while True:
            try:
                answer = self._ask(EVENTS, run=run_id, cursor=cursor, limit=EVENTS_PER_PAGE)["runOrError"]
            except DagsterUnreachable:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE:
                    raise
                yield None
                time.sleep(poll_seconds)
                continue
            away_since = None
            _refuse(answer, "Run")
            page = answer["eventConnection"]
            cursor = page["cursor"]
            events = [event for raw in page["events"] if (event := _event(raw)) is not None]
            yield from events
            if page["hasMore"]:
                continue
            if answer["status"] in FINISHED:
                return
            if not events:
                yield None
            time.sleep(poll_seconds)

    def status(self, run_id: str) -> str:
        """SUCCESS, FAILURE, QUEUED …"""
        answer = self._ask(EVENTS, run=run_id, cursor=None, limit=1)["runOrError"]
        _refuse(answer, "Run")
        return str(answer["status"])

    def cancel(self, run_id: str, *, process_is_gone: bool = False) -> None:
        """Ends a run; with `process_is_gone` only its record, since nothing is left to stop."""
        policy = "MARK_AS_CANCELED_IMMEDIATELY" if process_is_gone else "SAFE_TERMINATE"
        self._ask(TERMINATE, run=run_id, policy=policy)

    def unhealthy_daemons(self) -> list[str]:
        """The required daemons that have no recent heartbeat."""
        statuses = self._ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return [status["daemonType"] for status in statuses if status["required"] and not status["healthy"]]

    def _selector(self) -> dict[str, str]:
        repository = self.repository()
        return {"repositoryName": repository.name, "repositoryLocationName": repository.location}

    def _ask(self, query: str, **variables: object) -> dict[str, Any]:
        try:
            answer = self._client.post("/graphql", json={"query": query, "variables": variables})
            content = answer.json()  # with status 500 too, if code of ours failed
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            raise DagsterUnreachable(f"Dagster does not answer at {self._client.base_url}: {error}") from error
        if content.get("errors"):
            raise DagsterRefused(f"Dagster refused: {content['errors'][0]['message']}")
        data: dict[str, Any] = content["data"]
        return data


def _refuse(answer: Mapping[str, Any], wanted: str) -> None:
    if answer["__typename"] == wanted:
        return
    errors = [error["message"] for error in answer.get("errors") or ()]
    raise DagsterRefused(f"Dagster refused: {answer.get('message') or '; '.join(errors) or answer['__typename']}")


def _run(raw: Mapping[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in raw["tags"]}
    return Run(
        run_id=raw["runId"],
        job=raw["jobName"],
        status=raw["status"],
        kind=tags.get(KIND_TAG, "backfill" if tags.keys() & PARTITION_TAGS else ""),
        created_at=datetime.fromtimestamp(raw["creationTime"], UTC),
        started_at=datetime.fromtimestamp(raw["startTime"], UTC) if raw["startTime"] else None,
        ended_at=datetime.fromtimestamp(raw["endTime"], UTC) if raw["endTime"] else None,
        assets=tuple("/".join(key["path"]) for key in raw["assetSelection"] or ()),
    )


def _event(raw: Mapping[str, Any]) -> RunEvent | None:
    match raw["__typename"]:
        case "ExecutionStepStartEvent":
            return StepStarted(raw["stepKey"])
        case "ExecutionStepSuccessEvent":
            return StepFinished(raw["stepKey"])
        case "MaterializationEvent" if raw["assetKey"]:
            return Materialized(tuple(raw["assetKey"]["path"]), _rows(raw["metadataEntries"]))
        case "AssetCheckEvaluationEvent" if not raw["evaluation"]["success"]:
            found = raw["evaluation"]
            return CheckFailed(tuple(found["assetKey"]["path"]), found["checkName"], found["severity"] == "ERROR")
        case "ExecutionStepFailureEvent" | "RunFailureEvent":
            return Failed(raw["stepKey"], _reason(raw))
    return None


def _rows(entries: Sequence[Mapping[str, Any]]) -> int | None:
    counts = {entry["label"]: entry["intValue"] for entry in entries if entry.get("intValue") is not None}
    return counts.get("dagster/partition_row_count", counts.get("dagster/row_count"))


def _reason(raw: Mapping[str, Any]) -> str:
    """The innermost cause, since Dagster wraps what an operation raised."""
    error = raw.get("error")
    if not error:
        return str(raw["message"]).strip()
    causes = error["causes"]
    return str((causes[-1] if causes else error)["message"]).strip()
