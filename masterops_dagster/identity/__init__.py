"""Who is who across systems: records are matched, and each customer, company and product gets one golden record.

`resolve` does it; `explain` says why; `override` and `veto` are what a person decides.
"""

from masterops_dagster.identity.decisions import (
    InvalidDecision,
    override,
    veto,
    withdraw_override,
    withdraw_veto,
)
from masterops_dagster.identity.explain import Explanation, explain
from masterops_dagster.identity.forget import forget
from masterops_dagster.identity.resolve import EntityReport, ResolveReport, resolve

__all__ = [
    "EntityReport",
    "Explanation",
    "InvalidDecision",
    "ResolveReport",
    "explain",
    "forget",
    "override",
    "resolve",
    "veto",
    "withdraw_override",
    "withdraw_veto",
]
