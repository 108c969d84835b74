"""A scoring's plan: which release makes the lists, for when, and a place for each stage's work by the hash of what makes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time
from typing import Any

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.scoring import PlanScoringEvent, ReleasePointers, ScoringPlan
from understudy.domain.night import Code
from understudy.errors import InvalidInput

# Lists are used all day and the ranker is told an hour: the middle is the least wrong one.
HOUR = time(12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class UserData:
    """How new the online features are, and how many imports brought users: together they say which users' lines there are."""

    feature_time: str | None
    feature_set: str | None
    data_version: int


@dataclass(frozen=True, slots=True)
class ListRules:
    """As `domain.recommendation.Rules`, without the share of chance: nobody is counted as shown by an export."""

    candidates: int
    max_per_author: int
    max_per_topic_share: float


def plan_scoring(
    event: PlanScoringEvent,
    *,
    champion: str | None,
    record: ReleaseRecord | None,
    users: UserData,
    code: Code,
    rules: ListRules,
    k: int,
    bucket: str,
) -> ScoringPlan:
    """Fix everything that the jobs depend on: the same release, day, features and code give the same plan.

    Parameters
    ----------
    champion : str, optional
        The release that serves; its lists alone are exported.
    record : ReleaseRecord, optional
        Of the release that was asked for, else of the champion; None where nobody is on stage.

    Raises
    ------
    InvalidInput
        The release that was asked for is unknown or was rejected.
    """
    request = event.request
    if record is None and request.release_id is not None:
        raise InvalidInput(f"there is no release {request.release_id}", "the id of a registered release")
    if record is None:
        return ScoringPlan(run_id=event.run_id, reason=request.reason)
    if record.status == "rejected":
        raise InvalidInput(f"release {record.release_id} is rejected", "a release that may be shown")
    day = request.day or event.started_at.astimezone(UTC).date()
    at = datetime.combine(day, HOUR).isoformat()
    places = request.k or k
    work = _work(record.release_id, at, places, users, code.sha, rules)
    return ScoringPlan(
        run_id=event.run_id,
        reason=request.reason,
        release_id=record.release_id,
        parts=_parts(record, bucket),
        at=at,
        k=str(places),
        rules=json.dumps(asdict(rules), sort_keys=True),
        export="yes" if record.release_id == champion else "no",
        code_uri=code.uri,
        wheelhouse_uri=code.wheelhouse_uri,
        work={stage: f"s3://{bucket}/work/{stage}/{key[:32]}" for stage, key in work.items()},  # type: ignore[misc]
        scores_uri=f"s3://{bucket}/scores/{record.release_id}/{day.isoformat()}",
    )


def _work(release_id: str, at: str, places: int, users: UserData, code_sha: str, rules: ListRules) -> Mapping[str, str]:
    packed = _digest(["pack_release", code_sha, release_id])
    listed = _digest(["list_users", code_sha, asdict(users)])
    scored = _digest(["score_users", packed, listed, at, places, asdict(rules)])
    return {"pack_release": packed, "list_users": listed, "score_users": scored}


def _parts(record: ReleaseRecord, bucket: str) -> ReleasePointers:
    return ReleasePointers(
        two_tower_model_s3=record.two_tower_model_s3,
        ranker_model_s3=record.ranker_model_s3,
        vectors_s3=record.vectors_s3,
        prepared_s3=record.prepared_s3,
        manifest_s3=f"s3://{bucket}/releases/{record.release_id}/manifest.json",
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
