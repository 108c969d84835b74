"""What the nightly machine carries between its states: pointers only, never data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.scoring import ScoringStage

Scalar = str | int | float | bool
Parameters = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], Scalar]
Stage = Literal["prepare_data", "two_tower", "ranker", "embed_items", "index_items", "evaluate", "baseline"]


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NightRequest(_Contract):
    """Input of an execution of the nightly machine; everything has a default."""

    reason: Annotated[str, Field(min_length=1, max_length=200)] = "by hand"
    as_of: AwareDatetime | None = None  # end of the window, half open; None: as far as the data goes
    window_days: Annotated[int, Field(ge=3, le=365)] | None = None
    two_tower: Parameters = {}
    ranker: Parameters = {}
    episode: Annotated[str, Field(max_length=30)] | None = None  # the drift it answers, and its alarms
    alarms: Annotated[list[str], Field(max_length=50)] = []


class PlanNightEvent(_Contract):
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,44}$")]  # goes into job names of at most 63 characters
    execution_arn: str
    started_at: AwareDatetime
    request: NightRequest = NightRequest()


class ChampionPointers(_Contract):
    """What a night reads of the release that serves: warm start, and the other side of the evaluation."""

    release_id: str
    index: str
    two_tower_model_s3: str
    ranker_model_s3: str
    vectors_s3: str


class NightPlan(_Contract):
    """Everything about a night that is decided before its first job."""

    run_id: str
    execution_arn: str
    release_id: str
    reason: str
    as_of: AwareDatetime
    window_days: str  # a job argument, therefore text
    fence: int
    code_sha: str
    code_uri: str
    wheelhouse_uri: str
    engine: Literal["faiss", "lucene"]
    keep_indices: str  # comma-separated: the indices that traffic names
    work: dict[Stage, str]  # where each stage's output belongs, by the hash of what makes it
    checkpoints: dict[Stage, str]
    two_tower_hyperparameters: dict[str, str]
    ranker_hyperparameters: dict[str, str]
    champion: ChampionPointers | None = None
    episode: str | None = None
    alarms: list[str] = []


class Work(_Contract):
    """One stage's output, found or just made. `uri` of a processing or transform job, `model` of a training job."""

    finished: bool
    uri: str | None = None
    model: str | None = None
    job: str | None = None  # ARN of the job that made it, where known


class FindWorkEvent(_Contract):
    stage: Stage | ScoringStage
    kind: Literal["processing", "training", "transform"]
    uri: Annotated[str, Field(pattern=r"^s3://[^/]+/work/")]


class RegisterEvent(_Contract):
    plan: NightPlan
    prepared: Work
    two_tower: Work
    ranker: Work
    vectors: Work
    index: Work
    evaluation: Work
    baseline: Work


class Registration(_Contract):
    """The night's last word: registered or refused, and why."""

    release_id: str
    registered: bool
    status: str
    reasons: list[str]
    metrics: dict[str, Any] = {}
    cost_usd: float | None = None
