"""A night's plan: its window, its release, and a place for every stage's work named by the hash of what makes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from understudy.contracts.nightly import ChampionPointers, NightPlan, PlanNightEvent, Scalar, Stage

NIGHT_LEASE = "night"


@dataclass(frozen=True, slots=True)
class Lake:
    """How far the data goes. `data_version` counts imports: an import may bring data known long ago."""

    data_through: datetime | None
    data_version: int
    has_newer_feedback: bool


@dataclass(frozen=True, slots=True)
class Code:
    sha: str
    uri: str  # folder with launch.py and sourcedir.tar.gz
    archive_uri: str
    wheelhouse_uri: str


@dataclass(frozen=True, slots=True)
class Defaults:
    """Parameters of the deployment, which a request may override."""

    window_days: int
    engine: Literal["faiss", "lucene"]
    two_tower: Mapping[str, Scalar]
    ranker: Mapping[str, Scalar]


def end_of_window(asked: datetime | None, lake: Lake, now: datetime) -> datetime:
    """`as_of`: what was asked for; else as far as the lake's data goes, and up to now once users are being served.

    Imported logs may end years ago, and a window of the last days would then be empty.
    """
    if asked is not None:
        return min(asked, now)
    if lake.has_newer_feedback or lake.data_through is None:
        return now
    return min(lake.data_through, now)


def plan_night(
    event: PlanNightEvent,
    *,
    fence: int,
    lake: Lake,
    code: Code,
    champion: ChampionPointers | None,
    keep_indices: list[str],
    defaults: Defaults,
    bucket: str,
) -> NightPlan:
    """Fix everything that the jobs of this night depend on.

    The same window, data, code, parameters and champion give the same plan, release id included: a night started anew
    after a failure finds what the first one finished.
    """
    request = event.request
    as_of = end_of_window(request.as_of, lake, event.started_at).astimezone(UTC)
    window_days = request.window_days or defaults.window_days
    two_tower, ranker = {**defaults.two_tower, **request.two_tower}, {**defaults.ranker, **request.ranker}
    keys = _keys(as_of, window_days, lake.data_version, code.sha, two_tower, ranker, champion, defaults.engine)
    release_id = f"r-{as_of:%Y%m%d}-{_digest(keys)[:8]}"
    for stage in ("index_items", "evaluate", "baseline"):  # these name the release inside
        keys[stage] = _digest([keys[stage], release_id])
    return NightPlan(
        run_id=event.run_id,
        execution_arn=event.execution_arn,
        release_id=release_id,
        reason=request.reason,
        as_of=as_of,
        window_days=str(window_days),
        fence=fence,
        code_sha=code.sha,
        code_uri=code.uri,
        wheelhouse_uri=code.wheelhouse_uri,
        engine=defaults.engine,
        keep_indices=",".join(keep_indices),
        work={stage: f"s3://{bucket}/work/{stage}/{key[:32]}" for stage, key in keys.items()},
        checkpoints={"two_tower": f"s3://{bucket}/checkpoints/two_tower/{keys['two_tower'][:32]}"},
        two_tower_hyperparameters=script_mode("two_tower/train.py", two_tower, code),
        ranker_hyperparameters=script_mode("ranker/train.py", ranker, code),
        champion=champion,
        episode=request.episode,
        alarms=request.alarms,
    )


def _keys(
    as_of: datetime,
    window_days: int,
    data_version: int,
    code_sha: str,
    two_tower: Mapping[str, Scalar],
    ranker: Mapping[str, Scalar],
    champion: ChampionPointers | None,
    engine: str,
) -> dict[Stage, str]:
    served = champion.model_dump() if champion else None
    prepared = _digest(["prepare_data", code_sha, as_of.isoformat(), window_days, data_version])
    tower = _digest(["two_tower", prepared, dict(two_tower), champion.two_tower_model_s3 if champion else None])
    ranked = _digest(["ranker", prepared, dict(ranker)])
    vectors = _digest(["embed_items", prepared, tower])
    return {
        "prepare_data": prepared,
        "two_tower": tower,
        "ranker": ranked,
        "embed_items": vectors,
        "index_items": _digest(["index_items", vectors, engine]),
        "evaluate": _digest(["evaluate", vectors, ranked, served]),
        "baseline": _digest(["baseline", vectors, ranked]),
    }


def script_mode(program: str, parameters: Mapping[str, Scalar], code: Code) -> dict[str, str]:
    """Hyperparameters as SageMaker's script mode wants them: every value JSON-encoded."""
    named = {"sagemaker_program": "launch.py", "sagemaker_submit_directory": code.archive_uri, "program": program}
    return {key: json.dumps(value) for key, value in {**named, **parameters}.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
