"""From what traffic names to what both endpoints must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from understudy.adapters.endpoint_plan import Hosting, models_of, standings
from understudy.adapters.endpoints import check_artefact, ensure_model, match_endpoint
from understudy.adapters.registry import approvals, digest_of
from understudy.adapters.scaling import ScalingNotes, suspend
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.rollout import AskedEndpoint
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import InvalidInput
from understudy.ports import ReleaseStore
from understudy.settings import MatchEndpointsSettings


@dataclass(frozen=True, slots=True)
class Clients:
    releases: ReleaseStore
    s3: Any
    sagemaker: Any
    autoscaling: Any
    notes: ScalingNotes


def match(
    clients: Clients, settings: MatchEndpointsSettings, traffic: Traffic | None, coming: Standing | None
) -> list[AskedEndpoint]:
    """Ask both endpoints for exactly the variants that traffic names, plus `coming`; none are asked for nobody.

    Raises
    ------
    NotReady
        An endpoint is on its way to something else.
    InvalidInput
        The release that comes is not approved, or its models are not those that were registered.
    """
    s = settings
    names = (s.two_tower_endpoint, s.ranker_endpoint)
    hosting = Hosting(s.endpoint_role_arn, s.inference_image_uri, s.instance_type, s.capture_s3_uri)
    slots: dict[str, dict[str, str]] = {name: {} for name in names}
    for one in standings(traffic, coming):
        record = _record(clients, one.release)
        if one == coming:
            _check(clients, record)
        for endpoint, model in models_of(record, *names).items():
            ensure_model(clients.sagemaker, model, hosting)
            slots[endpoint][one.slot] = model.name
    asked = []
    for name in names if slots[names[0]] else ():
        suspend(clients.autoscaling, clients.notes, name)
        asked.append(match_endpoint(clients.sagemaker, name, slots[name], hosting))
    return asked


def _record(clients: Clients, release_id: str) -> ReleaseRecord:
    record = clients.releases.get(release_id)
    if record is None:
        raise InvalidInput(f"there is no release {release_id}", "the id of a registered release")
    return record


def _check(clients: Clients, record: ReleaseRecord) -> None:
    if approvals(clients.sagemaker, record) != ["Approved", "Approved"]:
        raise InvalidInput(
            f"release {record.release_id} is not approved", "a registered release whose two packages are Approved"
        )
    for uri, package in (
        (record.two_tower_model_s3, record.two_tower_package_arn),
        (record.ranker_model_s3, record.ranker_package_arn),
    ):
        check_artefact(clients.s3, uri, digest_of(clients.sagemaker, str(package)))
