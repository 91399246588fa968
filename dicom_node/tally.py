"""What a stage came to, for the metrics and the log."""

from __future__ import annotations

from typing import Any

from dicom_node import logs, metrics
from dicom_node.analysis import Outcome


def count_analysis(outcome: Outcome) -> None:
    """An analysis that has ended."""
    metrics.ANALYSES.add(state=outcome.state)
    metrics.ANALYSIS_SECONDS.observe(outcome.seconds)
    if outcome.state == "failed":
        metrics.FAILURES.add(kind="analysis")


def count_delivery(document: dict[str, Any]) -> None:
    """An attempt to deliver, as it is recorded in a report."""
    state = document["state"].replace(" ", "_")
    metrics.DELIVERIES.add(destination=document["destination"], outcome=state)
    if state == "given_up":
        metrics.FAILURES.add(kind="delivery")


def log_delivery(study: str, document: dict[str, Any], objects: str) -> None:
    """The same in the log; ``objects`` says what became of each."""
    log = logs.info if document["state"] == "delivered" else logs.warning
    log(
        "delivery",
        study=study,
        destination=document["destination"],
        state=document["state"],
        attempts=document["attempts"],
        objects=objects,
        error=document["error"],
    )
