"""The doctor on what hosts releases: endpoints with their configurations, models, weights and scaling, and item indices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.doctor_finding import FIX_STAGE, Finding, Patient
from understudy.adapters.endpoint_plan import models_of
from understudy.adapters.leftovers import Hosted, look
from understudy.adapters.scaling import ScalingNotes
from understudy.domain.capacity import shares
from understudy.domain.leftovers import idle_configs, is_kept
from understudy.domain.rollback import names

TOLERANCE = 0.005  # of a weight, in shares


def endpoints(patient: Patient) -> Iterator[Finding]:
    """Variants, configurations, models, weights and scaling notes; only while no rollout changes them."""
    if patient.on_the_way:
        return
    sagemaker = patient.site.client("sagemaker")
    notes = ScalingNotes(patient.site.client("dynamodb"), patient.site.outputs["StateTable"])
    for name in patient.endpoint_names():
        hosted = look(sagemaker, name)
        yield from _leftovers(hosted)
        if hosted.status is not None:
            described = sagemaker.describe_endpoint(EndpointName=name)
            yield from _state(patient, hosted, described)
            yield from _weights(patient, name, described)
        elif patient.traffic is not None:
            yield Finding("an endpoint that traffic needs is not there", name, "start a rollout: it makes the endpoint")
        if notes.read(name):
            yield Finding(
                "scaling was noted and not restored",
                f"scaling#{name}",
                f"it is put back by the next rollout; {FIX_STAGE}",
            )


def _leftovers(hosted: Hosted) -> Iterator[Finding]:
    for config in idle_configs(hosted.endpoint, hosted.configs, hosted.configs_used):
        do = f"aws sagemaker delete-endpoint-config --endpoint-config-name {config}"
        yield Finding("an endpoint configuration that nothing runs", config, do)
    for model in hosted.models:
        if model not in hosted.models_used:
            do = f"aws sagemaker delete-model --model-name {model}"
            yield Finding("a model that no running configuration names", model, do)


def _state(patient: Patient, hosted: Hosted, described: dict[str, Any]) -> Iterator[Finding]:
    if patient.traffic is None:
        do = f"aws sagemaker delete-endpoint --endpoint-name {hosted.endpoint}"
        yield Finding("an endpoint without traffic", hosted.endpoint, do)
        return
    if hosted.status != "InService":
        why = described.get("FailureReason", "no reason given")
        yield Finding(f"an endpoint is {hosted.status}: {why}", hosted.endpoint, "wait; if it stays, start a rollout")
    there = {row["VariantName"] for row in described.get("ProductionVariants", [])}
    for slot in sorted(there - {one.slot for one in patient.standings}):
        yield Finding(
            "a variant that traffic does not name", f"{hosted.endpoint}/{slot}", "the next rollout removes it"
        )
    for one in patient.standings:
        if one.slot not in there:
            yield Finding(f"{one.release} has no variant", f"{hosted.endpoint}/{one.slot}", FIX_STAGE)
            continue
        record = patient.records.get(one.release)
        wanted = models_of(record, *patient.endpoint_names())[hosted.endpoint].name if record else None
        if wanted is not None and wanted not in hosted.models_used:
            yield Finding(f"{one.release} is not what its variant runs", f"{hosted.endpoint}/{one.slot}", FIX_STAGE)


def _weights(patient: Patient, name: str, described: dict[str, Any]) -> Iterator[Finding]:
    """Weights count by their proportions: one variant alone has all of it, whatever its number."""
    rows = {row["VariantName"]: row.get("CurrentWeight", 0.0) for row in described.get("ProductionVariants", [])}
    total = sum(rows.values())
    if patient.traffic is None or not total or len(rows) < 2:
        return
    wanted = shares(patient.traffic)
    for slot, weight in sorted(rows.items()):
        share = wanted.get(slot, 0) / 10_000
        if abs(weight / total - share) > TOLERANCE:
            found = f"{name}/{slot}: weight {weight / total:.2f}, share {share:.2f}"
            yield Finding(
                "a weight does not mirror the share of traffic", found, "nobody is routed by it; the next stage sets it"
            )


def indices(patient: Patient) -> Iterator[Finding]:
    """Indices that nobody keeps, and releases on stage without theirs."""
    site = patient.site
    status, answer = site.signed("es", "GET", f"{site.outputs['ItemIndexUrl'].rstrip('/')}/items-*/_mapping")
    there = set(answer) if status == 200 else set()
    known = {record.index: record for record in patient.records.values()}
    for name in sorted(there):
        record = known.get(name)
        if record is None and not patient.running["nightly"]:
            yield Finding("an index of no release", name, "the next night deletes it")
        elif record is not None and not is_kept(record, patient.traffic) and not patient.on_the_way:
            do = "the next rollout, rollback or night deletes it"
            yield Finding(f"the index of a release that is {record.status}", name, do)
    for record in patient.records.values():
        if record.index not in there and names(patient.traffic, record.release_id):
            yield Finding(f"{record.release_id} is on stage without its index", record.index, FIX_STAGE)
