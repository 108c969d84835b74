"""What the score_all machine carries between its states: pointers only, never data."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.traffic import ReleaseId

Places = Annotated[int, Field(ge=1, le=100)]  # as many as the API answers
ScoringStage = Literal["pack_release", "list_users", "score_users"]


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreRequest(_Contract):
    """Input of an execution of the score_all machine; everything has a default."""

    reason: Annotated[str, Field(min_length=1, max_length=200)] = "by hand"
    release_id: ReleaseId | None = None  # None: the champion, the only one whose lists are exported
    day: date | None = None  # the day the lists are for, UTC; None: today
    k: Places | None = None  # None: the deployment's


class PlanScoringEvent(_Contract):
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,44}$")]  # goes into job names of at most 63 characters
    started_at: AwareDatetime
    request: ScoreRequest = ScoreRequest()


class ReleasePointers(_Contract):
    """Where the parts of the release lie."""

    two_tower_model_s3: str
    ranker_model_s3: str
    vectors_s3: str
    prepared_s3: str
    manifest_s3: str


class ScoringPlan(_Contract):
    """Everything about a scoring that is decided before its first job. Without a release there is nothing to do."""

    run_id: str
    reason: str
    release_id: str | None = None
    parts: ReleasePointers | None = None
    at: str = ""  # ISO time that the lists are for, an argument of jobs
    k: str = ""
    rules: str = ""  # JSON, for the container's environment
    export: Literal["yes", "no"] = "no"
    code_uri: str = ""
    wheelhouse_uri: str = ""
    work: dict[ScoringStage, str] = {}  # where each stage's output belongs, by the hash of what makes it
    scores_uri: str = ""
