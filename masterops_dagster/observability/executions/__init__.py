"""What ran: taken over from Dagster, n8n and dbt into one table, and what runs now."""

from masterops_dagster.observability.executions.execution import Execution
from masterops_dagster.observability.executions.harvesting import Harvested, harvest

__all__ = ["Execution", "Harvested", "harvest"]
