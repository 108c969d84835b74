"""What the tune machine carries between its states, and what a finished search leaves in Parameter Store."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.nightly import Parameters

Model = Literal["two_tower", "ranker"]
Strategy = Literal["Bayesian", "Random", "Grid"]
BothModels: tuple[Model, ...] = ("two_tower", "ranker")


class _Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TuneRequest(_Contract):
    """Input of an execution of the tune machine; everything has a default."""

    reason: Annotated[str, Field(min_length=1, max_length=200)] = "by hand"
    models: Annotated[tuple[Model, ...], Field(min_length=1)] = BothModels
    jobs: Annotated[int, Field(ge=2, le=500)] | None = None  # trials of each model at most; None: the deployment's
    parallel: Annotated[int, Field(ge=1, le=100)] | None = None
    strategy: Strategy | None = None


class PlanTuningEvent(_Contract):
    execution_arn: str
    request: TuneRequest = TuneRequest()


class TunedParameters(_Contract):
    """One model's parameters as a search found them better than those before: the JSON of its SSM parameter."""

    model: Model
    parameters: Annotated[Parameters, Field(min_length=1)]
    metric: str
    today: float  # the metric on the holdout with the parameters before, and with these
    tuned: float
    interval: tuple[float, float]  # of the difference, by users
    training_job: str
    release_id: str  # whose prepared data it was
    prepared_s3: str
    adopted_at: AwareDatetime


class ModelTuning(_Contract):
    """The search for one model: all that is decided before its first job."""

    model: Model
    name: Annotated[
        str, Field(pattern=r"^[a-z0-9-]{1,25}$")
    ]  # prefix of its jobs; a tuning job's name has 32 characters
    metric: str
    config: dict[str, Any]  # HyperParameterTuningJobConfig
    static_hyperparameters: dict[str, str]
    today: Parameters  # what tonight would run with, the program's own defaults left out
    kept: Parameters  # what an earlier search found and this one does not vary
    today_hyperparameters: dict[str, str]
    today_uri: str
    trials_uri: str
    comparison_uri: str
    since: int  # version of the SSM parameter that `today` comes from; 0: there is none


class TuningPlan(_Contract):
    """An execution's searches; none, and `nothing` says why."""

    models: list[ModelTuning]
    nothing: str = ""
    release_id: str = ""
    prepared_uri: str = ""
    warm_uri: str = ""  # the champion's two-tower model, as in a night; empty: there is none
    code_uri: str = ""
    wheelhouse_uri: str = ""


class BestTrial(BaseModel):
    """`BestTrainingJob` of DescribeHyperParameterTuningJob; more members may come."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    TrainingJobName: str
    TunedHyperParameters: dict[str, str]


class AdoptEvent(_Contract):
    search: ModelTuning
    best: BestTrial
    release_id: str
    prepared_uri: str
    decided_at: AwareDatetime


class Comparison(BaseModel):
    """comparison.json of the compare_parameters job."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: Model
    primary: str
    today: dict[str, float | None]
    tuned: dict[str, float | None]
    intervals: dict[str, dict[str, float | None]]
    users: int


class Adoption(_Contract):
    """What became of one search."""

    model: Model
    adopted: bool
    reason: str
    training_job: str | None = None
    parameters: Parameters = {}
    metric: str = ""
    today: float | None = None
    tuned: float | None = None
    interval: tuple[float, float] | None = None
