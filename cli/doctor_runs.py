"""The doctor on what runs and who holds what: the stage, leases, releases' words, jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.doctor_finding import FIX_STAGE, Finding, Patient

JOBS = {
    "list_processing_jobs": (
        "ProcessingJobSummaries",
        "ProcessingJobName",
        "stop-processing-job --processing-job-name",
    ),
    "list_training_jobs": ("TrainingJobSummaries", "TrainingJobName", "stop-training-job --training-job-name"),
}
STAGES = ("prepare-data-", "two-tower-", "ranker-", "embed-items-", "index-items-", "evaluate-", "baseline-")


def stage(patient: Patient) -> Iterator[Finding]:
    """A candidate or a previous release that no execution looks after."""
    traffic = patient.traffic
    if traffic is None or patient.on_the_way:
        return
    if traffic.candidate is not None:
        found = f"{traffic.candidate.release} at {traffic.share_bp} bp of rollout {traffic.rollout_id}"
        yield Finding("a candidate meets users and nobody watches it", found, FIX_STAGE)
    if traffic.previous is not None:
        found = f"{traffic.previous.release} behind {traffic.champion.release}"
        yield Finding("a previous release is kept and no rollout watches", found, "the next rollout retires it")


def leases(patient: Patient) -> Iterator[Finding]:
    """Leases of executions that run no more."""
    alive = {name for names in patient.running.values() for name in names}
    for lease in patient.leases:
        if lease.owner.rpartition(":")[2] not in alive:
            do = (
                "the next night takes it over"
                if lease.name == "night"
                else "its rollback takes it over; else: " + FIX_STAGE
            )
            yield Finding(f"lease {lease.name} is held by an execution that does not run", lease.owner, do)


def releases(patient: Patient) -> Iterator[Finding]:
    """Releases whose word in the table is not what traffic says, or that wait for what does not come."""
    champion = patient.traffic.champion.release if patient.traffic else None
    alive = patient.on_the_way
    for record in patient.records.values():
        named, which = record.release_id, f"{record.release_id}: {record.status}"
        rolled = any(name == named or name.startswith(f"{named}-") for name in alive)
        if rolled:
            continue
        if record.status == "champion" and named != champion:
            yield Finding("a champion by its word, not by traffic", which, FIX_STAGE)
        if named == champion and record.status != "champion" and not alive:
            yield Finding("it serves, and its word says otherwise", which, "the next rollout or rollback mends it")
        if record.status == "approved" and named != champion:
            yield Finding(
                "approved, and no rollout of it runs", which, f"understudy rollout start {named}, or reject it"
            )
        if record.status == "registered" and not patient.running["nightly"]:
            yield Finding("registered, and no night runs that would go on", which, "understudy night goes on with it")


def jobs(patient: Patient) -> Iterator[Finding]:
    """Jobs of nights that run no more."""
    sagemaker = patient.site.client("sagemaker")
    for operation, (member, key, stop) in JOBS.items():
        for page in sagemaker.get_paginator(operation).paginate(StatusEquals="InProgress"):
            for row in page[member]:
                if row[key].startswith(STAGES) and not _has_a_night(patient, row, key):
                    do = f"aws sagemaker {stop} {row[key]}"
                    yield Finding("a job runs and its night does not", row[key], do)


def _has_a_night(patient: Patient, row: dict[str, Any], key: str) -> bool:
    """Job names are `<stage>-<run>-<redrive>-<retry>`."""
    return any(f"-{name}-" in row[key] for name in patient.running["nightly"])
