"""Jobs of a stack, each with what it cost: read from SageMaker, told apart from other stacks' by their role's name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from cli.site import Site
from understudy.domain.cost import JobRun, cost_usd

KINDS = ("Processing", "Training", "Transform")
STAGES = ("prepare-data", "two-tower", "ranker", "embed-items", "index-items", "evaluate", "baseline")
_STAGE = re.compile(rf"^({'|'.join(STAGES)}|monitor-(?:[a-z]+-)?[a-z]+|[a-z]+(?:-[a-z]+)*)-")
PARALLEL_READS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """One job, also one that runs still: `ended` is None and its cost is not known yet."""

    name: str
    stage: str
    status: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    run: JobRun | None

    @property
    def cost(self) -> float | None:
        return None if self.run is None else cost_usd([self.run])

    @property
    def seconds(self) -> float | None:
        """From its creation to its end: waiting for its machine is part of a night."""
        return None if self.ended is None else (self.ended - self.created).total_seconds()


def read_jobs(site: Site, since: datetime) -> list[Job]:
    """Every job of the stack that was created since, oldest first."""
    sagemaker = site.client("sagemaker")
    names = [(kind, name) for kind in KINDS for name in _names(sagemaker, kind, since)]
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        found = pool.map(lambda pair: _job(site, sagemaker, *pair), names)
    return sorted((job for job in found if job is not None), key=lambda job: job.created)


def total(jobs: Iterable[Job]) -> float | None:
    """What finished jobs cost together; None when one of them has no known price."""
    return cost_usd(job.run for job in jobs if job.run is not None)


def stage_of(job_name: str) -> str:
    """What a job is for, by its name.

    Examples
    --------
    >>> stage_of("two-tower-night-20261124-030535-0-0"), stage_of("monitor-data-quality-hand-2026-0-0")
    ('two-tower', 'monitor-data-quality')
    """
    found = _STAGE.match(job_name)
    return found[1] if found else job_name


def _names(sagemaker: Any, kind: str, since: datetime) -> list[str]:
    pages = sagemaker.get_paginator(f"list_{kind.lower()}_jobs").paginate(CreationTimeAfter=since)
    return [row[f"{kind}JobName"] for page in pages for row in page[f"{kind}JobSummaries"]]


def _job(site: Site, sagemaker: Any, kind: str, name: str) -> Job | None:
    """None for a job of another stack, or one whose record went meanwhile."""
    try:
        job = getattr(sagemaker, f"describe_{kind.lower()}_job")(**{f"{kind}JobName": name})
    except ClientError:
        return None
    if not _is_ours(site, job):
        return None
    started, ended = job.get(f"{kind}StartTime"), job.get(f"{kind}EndTime")
    run = _run(job, kind, started, ended)
    return Job(name, stage_of(name), job[f"{kind}JobStatus"], job["CreationTime"], started, ended, run)


def _is_ours(site: Site, job: dict[str, Any]) -> bool:
    """By the role that CloudFormation named after the stack; a transform job has none, but writes into our bucket."""
    if "RoleArn" in job:
        return f"/{site.stack}-" in job["RoleArn"]
    return str(job["TransformOutput"]["S3OutputPath"]).startswith(f"s3://{site.outputs['ArtifactBucket']}/")


def _run(job: dict[str, Any], kind: str, started: datetime | None, ended: datetime | None) -> JobRun | None:
    if ended is None:
        return None
    if kind == "Training":
        cluster, seconds = job["ResourceConfig"], float(job.get("BillableTimeInSeconds", 0))
    else:
        cluster = job["ProcessingResources"]["ClusterConfig"] if kind == "Processing" else job["TransformResources"]
        seconds = (ended - started).total_seconds() if started is not None else 0.0
    return JobRun(job[f"{kind}JobArn"], cluster["InstanceType"], int(cluster["InstanceCount"]), seconds)
