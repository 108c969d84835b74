"""From a night's outputs to the record of its release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from understudy.contracts.nightly import NightPlan, RegisterEvent
from understudy.contracts.release import ReleaseRecord
from understudy.domain.cost import JobRun, cost_usd
from understudy.domain.night import NIGHT_LEASE
from understudy.errors import InvalidInput, LeaseLost


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the jobs of a night wrote, read: `serving` and `evaluation` by evaluate, manifests by their stages."""

    prepared: Mapping[str, Any]
    index: Mapping[str, Any]
    serving: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    baseline: Mapping[str, Any]


def check_one_release(event: RegisterEvent, outputs: Outputs) -> None:
    """Everything must be of one release: index, vectors, tower and evaluation name the same.

    Raises
    ------
    InvalidInput
        Names what does not belong; a user vector would meet another release's index.
    """
    expected = event.plan.release_id
    if outputs.evaluation["release_id"] != expected:
        raise InvalidInput(f"the evaluation is of {outputs.evaluation['release_id']}", f"of {expected}")
    if outputs.index["index"] != f"items-{expected}":
        raise InvalidInput(f"the index is {outputs.index['index']}", f"items-{expected}")
    if outputs.index["tower_id"] != outputs.serving["tower_id"]:
        raise InvalidInput(
            f"the index was built by tower {outputs.index['tower_id']}",
            f"the evaluated tower {outputs.serving['tower_id']}",
        )
    of_baseline = (outputs.baseline["release_id"], outputs.baseline["ranker_id"])
    if of_baseline != (expected, outputs.serving["ranker_id"]):
        raise InvalidInput(
            "the baseline is of release {} and ranker {}".format(*of_baseline),
            f"of {expected} and the evaluated ranker {outputs.serving['ranker_id']}",
        )


def check_fence(plan: NightPlan, releases: Iterable[ReleaseRecord]) -> None:
    """Nothing, if no later night has given its word: whoever slept while another night ran must not register after it.

    Raises
    ------
    LeaseLost
        A release was made under a higher fence of the night's lease.
    """
    if any(record.lineage.get("night_fence", 0) > plan.fence for record in releases):
        raise LeaseLost(NIGHT_LEASE, plan.execution_arn, plan.fence)


def record_of(
    event: RegisterEvent, outputs: Outputs, *, runs: Sequence[JobRun], packages: Mapping[str, str], created_at: datetime
) -> ReleaseRecord:
    """The release's record. A refused release has no packages and the status `rejected`."""
    plan, gate = event.plan, dict(outputs.evaluation["gate"])
    return ReleaseRecord.model_validate(
        {
            "release_id": plan.release_id,
            "run_id": plan.run_id,
            "status": "registered" if gate["passed"] else "rejected",
            "created_at": created_at,
            "index": outputs.index["index"],
            "tower_id": outputs.serving["tower_id"],
            "ranker_id": outputs.serving["ranker_id"],
            "two_tower_model_s3": event.two_tower.model,
            "ranker_model_s3": event.ranker.model,
            "vectors_s3": event.vectors.uri,
            "prepared_s3": event.prepared.uri,
            "evaluation_s3": f"{event.evaluation.uri}/evaluation.json",
            "model_card_s3": f"{event.evaluation.uri}/model_card.html",
            "baseline_s3": event.baseline.uri,
            "feature_set": outputs.serving["feature_set"],
            "ranker_columns": outputs.serving["ranker_columns"],
            "crosses": outputs.serving["crosses"],
            "item_fields": outputs.serving["item_fields"],
            "index_query": outputs.index["index_query"],
            "popular": outputs.serving["popular"][:100],
            "two_tower_package_arn": packages.get("two_tower"),
            "ranker_package_arn": packages.get("ranker"),
            "gate": gate,
            "metrics": {**outputs.evaluation["candidate"], "index": _figures(outputs.index)},
            "lineage": _lineage(event, outputs, runs),
        }
    )


def _figures(index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: index[key]
        for key in ("count", "recall_at_100", "recall_at_100_filtered", "documents_per_s", "dead_letters")
    }


def _lineage(event: RegisterEvent, outputs: Outputs, runs: Sequence[JobRun]) -> dict[str, Any]:
    plan = event.plan
    return {
        "reason": plan.reason,
        "episode": plan.episode,
        "alarms": plan.alarms,
        "execution_arn": plan.execution_arn,
        "night_fence": plan.fence,
        "as_of": plan.as_of.isoformat(),
        "window_days": int(plan.window_days),
        "window": outputs.prepared.get("window"),
        "snapshots": outputs.prepared.get("snapshots"),
        "code_sha": plan.code_sha,
        "parameters": {"two_tower": plan.two_tower_hyperparameters, "ranker": plan.ranker_hyperparameters},
        "champion": plan.champion.release_id if plan.champion else None,
        "jobs": [
            {
                "arn": run.arn,
                "instance_type": run.instance_type,
                "instances": run.instance_count,
                "billable_s": run.billable_s,
            }
            for run in runs
        ],
        "cost_usd": cost_usd(runs),
    }
