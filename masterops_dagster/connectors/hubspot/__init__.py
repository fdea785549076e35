"""HubSpot, the CRM of the whole group: connector, models, batches, webhook signatures."""

from masterops_dagster.connectors.hubspot.api import oauth
from masterops_dagster.connectors.hubspot.batch import AssociationTarget, BatchInput, BatchResult, Outcome
from masterops_dagster.connectors.hubspot.client import HubSpot
from masterops_dagster.connectors.hubspot.models import (
    Association,
    AssociationType,
    Filter,
    FilterGroup,
    HubSpotError,
    HubSpotObject,
    ObjectPage,
    ObjectType,
    Operator,
    Owner,
    Pipeline,
    PropertyDefinition,
    SearchRequest,
    Sort,
)

__all__ = [
    "Association",
    "AssociationTarget",
    "AssociationType",
    "BatchInput",
    "BatchResult",
    "Filter",
    "FilterGroup",
    "HubSpot",
    "HubSpotError",
    "HubSpotObject",
    "ObjectPage",
    "ObjectType",
    "Operator",
    "Outcome",
    "Owner",
    "Pipeline",
    "PropertyDefinition",
    "SearchRequest",
    "Sort",
    "oauth",
]
