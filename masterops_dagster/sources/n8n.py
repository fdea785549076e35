"""n8n's streams. What a workflow's nodes contain stays there: parameters may hold secrets."""

from __future__ import annotations

from masterops_dagster.sources.stream import BOOLEAN, INTEGER, JSON, TEXT, TIMESTAMP, Mode, Stream, columns

DATES = columns(created_at=(TIMESTAMP, "createdAt"), updated_at=(TIMESTAMP, "updatedAt"))

STREAMS = (
    Stream(
        "workflows",
        resource="workflows",
        mode=Mode.FULL,
        modified="updated_at",
        columns=columns(id=TEXT, name=TEXT, active=BOOLEAN)
        + DATES
        + columns(
            is_archived=(BOOLEAN, "isArchived"),
            version_id=(TEXT, "versionId"),
            trigger_count=(INTEGER, "triggerCount"),
            node_types=(JSON, "nodeTypes"),
            tags=JSON,
        ),
        description="Workflows without what is in them: `node_types` lists the kinds of their nodes.",
    ),
    Stream(
        "executions",
        resource="executions",
        modified="modified_at",
        business_date="started_at",
        columns=columns(
            id=INTEGER,
            workflow_id=(TEXT, "workflowId"),
            status=TEXT,
            mode=TEXT,
            started_at=(TIMESTAMP, "startedAt"),
            stopped_at=(TIMESTAMP, "stoppedAt"),
            modified_at=(TIMESTAMP, "modifiedAt"),
            wait_till=(TIMESTAMP, "waitTill"),
            finished=BOOLEAN,
            retry_of=(TEXT, "retryOf"),
            retry_success_id=(TEXT, "retrySuccessId"),
        ),
        description="Runs of workflows without their data; `modified_at` is the connector's: the last moment known.",
    ),
    Stream(
        "tags",
        resource="tags",
        mode=Mode.FULL,
        modified="updated_at",
        columns=columns(id=TEXT, name=TEXT) + DATES,
        description="Tags of workflows.",
    ),
    Stream(
        "credentials",
        resource="credentials",
        mode=Mode.FULL,
        modified="updated_at",
        columns=columns(id=TEXT, name=TEXT, type=TEXT) + DATES,
        description="Names and kinds of the credentials that workflows use; never their contents.",
    ),
)
