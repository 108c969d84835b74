"""A weekly search: what it looks for, over which data, and whether what it found may be used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from understudy.contracts.nightly import Parameters, Scalar
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.tuning import (
    AdoptEvent,
    Adoption,
    Comparison,
    Model,
    ModelTuning,
    PlanTuningEvent,
    Strategy,
    TunedParameters,
    TuningPlan,
)
from understudy.domain.night import Code, script_mode
from understudy.domain.search_space import SEARCH_SPACE, known, parameter_ranges, searched

# What a search looks for in a trial's log, on the validation split; higher is better of both.
METRICS: Mapping[Model, str] = {"two_tower": "recall_at_50", "ranker": "validation_auc"}
LOWER_IS_BETTER = frozenset({"ranking.log_loss", "ranking.calibration_error"})


@dataclass(frozen=True, slots=True)
class Limits:
    """The deployment's, which a request may override."""

    jobs: int
    parallel: int
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class Stored:
    """What Parameter Store has of one model; version 0: nothing."""

    version: int = 0
    tuned: TunedParameters | None = None


def todays_parameters(model: Model, stored: Stored, fixed: Mapping[str, Scalar]) -> Parameters:
    """What tonight runs with: the deployment's own over what a search found."""
    return {**(known(model, stored.tuned.parameters) if stored.tuned else {}), **fixed}


def plan_tuning(
    event: PlanTuningEvent,
    *,
    newest: ReleaseRecord | None,
    data_is_there: bool,
    champion_tower: str,
    stored: Mapping[Model, Stored],
    fixed: Mapping[Model, Mapping[str, Scalar]],
    limits: Limits,
    code: Code,
    bucket: str,
) -> TuningPlan:
    """Fix everything that the jobs of this search depend on: the data of the newest release, the parameters of tonight.

    Parameters
    ----------
    newest : ReleaseRecord or None
        Whose prepared data is searched over, holdout included: no job of its own prepares it again.
    champion_tower : str
        URI of the two-tower model that trainings start warm from, as in a night; empty without one.
    fixed : mapping
        What the deployment's own parameters say; a search leaves those alone, since it could not change them.
    """
    if newest is None or not data_is_there:
        why = "no release yet" if newest is None else f"the prepared data of {newest.release_id} is gone"
        return TuningPlan(models=[], nothing=f"{why}: a search needs the data of a night")
    run = _digest([event.execution_arn])[:8]
    models = [
        _model(model, event, run, newest, champion_tower, stored[model], fixed[model], limits, code, bucket)
        for model in dict.fromkeys(event.request.models)
        if searched(model, fixed[model])
    ]
    nothing = "" if models else "the deployment fixes every parameter that could be searched"
    return TuningPlan(
        models=models,
        nothing=nothing,
        release_id=newest.release_id,
        prepared_uri=newest.prepared_s3,
        warm_uri=champion_tower,
        code_uri=code.uri,
        wheelhouse_uri=code.wheelhouse_uri,
    )


def _model(
    model: Model,
    event: PlanTuningEvent,
    run: str,
    newest: ReleaseRecord,
    champion_tower: str,
    stored: Stored,
    fixed: Mapping[str, Scalar],
    limits: Limits,
    code: Code,
    bucket: str,
) -> ModelTuning:
    today = todays_parameters(model, stored, fixed)
    program, config = f"{model}/train.py", _config(model, event, fixed, limits)
    varied = {row["Name"] for rows in config["ParameterRanges"].values() for row in rows}
    warm = champion_tower if model == "two_tower" else ""
    # Today's training is the same for every search over the same data: its place is by what makes it, so it is done once.
    trained = _digest(["tune", model, newest.prepared_s3, code.sha, today, warm])
    return ModelTuning(
        model=model,
        name=f"{model.replace('_', '-')}-{run}",
        metric=METRICS[model],
        config=config,
        static_hyperparameters=script_mode(program, _without(today, varied), code),
        today=today,
        kept=_without(today, {*varied, *fixed}),
        today_hyperparameters=script_mode(program, today, code),
        today_uri=f"s3://{bucket}/work/{model}/{trained[:32]}",
        trials_uri=f"s3://{bucket}/work/{model}/tune-{run}",
        comparison_uri=f"s3://{bucket}/work/evaluate/tune-{model.replace('_', '-')}-{run}",
        since=stored.version,
    )


def _without(parameters: Mapping[str, Scalar], names: Collection[str]) -> Parameters:
    return {name: value for name, value in parameters.items() if name not in names}


def _config(model: Model, event: PlanTuningEvent, fixed: Mapping[str, Scalar], limits: Limits) -> dict[str, Any]:
    request = event.request
    strategy, jobs = request.strategy or limits.strategy, request.jobs or limits.jobs
    parallel = min(request.parallel or limits.parallel, jobs)
    grid = strategy == "Grid"  # its number of jobs is the number of its combinations
    return {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": METRICS[model]},
        "ResourceLimits": {**({} if grid else {"MaxNumberOfTrainingJobs": jobs}), "MaxParallelTrainingJobs": parallel},
        "ParameterRanges": parameter_ranges(searched(model, fixed), strategy, jobs),
        "TrainingJobEarlyStoppingType": "Auto",
    }


def decide_adoption(event: AdoptEvent, comparison: Comparison, stored: Stored) -> Adoption:
    """Whether the best trial's parameters take the place of today's.

    They do if, on the held-out time that no trial was chosen by, the whole 95 % interval of the primary figure's difference
    is above 0, and no other figure is shown to be worse. Trials were chosen by the validation split, so the winner's
    luck there does not count here; one comparison is made, so its level needs no correction.
    """
    search, primary = event.search, comparison.primary
    tuned = {
        each.name: each.read(event.best.TunedHyperParameters[each.name])
        for each in SEARCH_SPACE[search.model]
        if each.name in event.best.TunedHyperParameters
    }
    difference = comparison.intervals[primary]
    low, high = difference["low"], difference["high"]
    told = Adoption(
        model=search.model,
        adopted=False,
        reason="",
        training_job=event.best.TrainingJobName,
        parameters=tuned,
        metric=primary,
        today=comparison.today[primary],
        tuned=comparison.tuned[primary],
        interval=None if low is None or high is None else (low, high),
    )
    if stored.tuned is not None and stored.tuned.training_job == event.best.TrainingJobName:
        return told.model_copy(update={"adopted": True, "reason": "adopted before: the reply was lost"})
    if stored.version != search.since:
        why = f"today's parameters changed meanwhile (version {search.since} then, {stored.version} now)"
    elif low is None or told.today is None or told.tuned is None:
        why = f"{primary} could not be compared: its interval is not defined"
    elif low <= 0:
        why = f"{primary} on the holdout is not shown to be better: the difference may be {low:+.4f}"
    elif worse := _shown_worse(comparison):
        why = f"better in {primary}, but worse in {', '.join(worse)}"
    else:
        return told.model_copy(update={"adopted": True, "reason": f"{primary} is better by at least {low:.4f}"})
    return told.model_copy(update={"reason": why})


def _shown_worse(comparison: Comparison) -> list[str]:
    """Figures whose whole interval is on the bad side."""
    found = []
    for name, interval in comparison.intervals.items():
        low, high = interval["low"], interval["high"]
        if low is None or high is None or not (isfinite(low) and isfinite(high)):
            continue
        if low > 0 if name in LOWER_IS_BETTER else high < 0:
            found.append(name)
    return sorted(found)


def adopted_parameters(event: AdoptEvent, adoption: Adoption, at: datetime) -> TunedParameters:
    """The SSM parameter's value: with what an earlier search found and this one did not vary, as its trials had it."""
    return TunedParameters.model_validate(
        {
            "model": event.search.model,
            "parameters": {**event.search.kept, **adoption.parameters},
            "metric": adoption.metric,
            "today": adoption.today,
            "tuned": adoption.tuned,
            "interval": adoption.interval,
            "training_job": adoption.training_job,
            "release_id": event.release_id,
            "prepared_s3": event.prepared_uri,
            "adopted_at": at,
        }
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
