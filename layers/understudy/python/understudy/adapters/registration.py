"""What registration reads and writes outside the releases table."""

from __future__ import annotations

from typing import Any

from understudy.adapters.registry import ensure_package
from understudy.adapters.work import job_run, read_json
from understudy.contracts.nightly import RegisterEvent
from understudy.domain.cost import JobRun
from understudy.domain.registration import Outputs
from understudy.settings import RegisterReleaseSettings


def read_outputs(s3: Any, event: RegisterEvent) -> Outputs:
    return Outputs(
        prepared=read_json(s3, f"{event.prepared.uri}/manifest.json"),
        index=read_json(s3, f"{event.index.uri}/manifest.json"),
        serving=read_json(s3, f"{event.evaluation.uri}/serving.json"),
        evaluation=read_json(s3, f"{event.evaluation.uri}/evaluation.json"),
        baseline=read_json(s3, f"{event.baseline.uri}/manifest.json"),
    )


def runs_of(sagemaker: Any, event: RegisterEvent) -> list[JobRun]:
    """Every job of this night whose ARN is known; work found from an earlier night was paid for then."""
    models = [event.two_tower, event.ranker]
    works = [event.prepared, *models, event.vectors, event.index, event.evaluation, event.baseline]
    return [job_run(sagemaker, work.job) for work in works if work.job]


def enter_registry(
    sagemaker: Any, settings: RegisterReleaseSettings, event: RegisterEvent, outputs: Outputs
) -> dict[str, str]:
    """Both packages of the release, pending until approved: kind -> ARN."""
    plan = event.plan
    facts = {
        "run_id": plan.run_id,
        "code_sha": plan.code_sha,
        "as_of": plan.as_of.isoformat(),
        "index": f"items-{plan.release_id}",
        "reason": plan.reason,
        **({"episode": plan.episode, "alarms": " ".join(plan.alarms)} if plan.episode else {}),
    }
    groups = {"two_tower": settings.two_tower_package_group, "ranker": settings.ranker_package_group}
    models = {"two_tower": event.two_tower.model, "ranker": event.ranker.model}
    return {
        kind: ensure_package(
            sagemaker,
            group=groups[kind],
            kind=kind,
            release_id=plan.release_id,
            image=settings.inference_image_uri,
            model_s3=str(models[kind]),
            facts={**facts, "digest": str(outputs.serving["model_digests"][kind])},
        )
        for kind in groups
    }
