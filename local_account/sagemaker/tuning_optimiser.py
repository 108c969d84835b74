"""What to try next: optuna's samplers, asked anew each time over all that was tried before.

Nothing is kept between two questions, so a tuning job goes on after a restart as if the account had not been away, and the same
trials with the same seed give the same answer. Bayesian is the tree-structured Parzen estimator over all parameters at once, with
running trials taken as bad ones, so that parallel jobs do not all go to one place (decision sagemaker-tuning).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_account.sagemaker.tuning_space import Dimension, Space, combinations

if TYPE_CHECKING:  # optuna takes half a second and 40 MB: an account that tunes nothing does without
    import optuna

START_AT_RANDOM = 6  # trials before a model of them is asked: with fewer it only repeats chance
FRESH_DRAWS = 20  # draws for a combination that was not tried yet


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial so far. No value: it still runs, or it ended without one (`ended`)."""

    parameters: dict[str, str]
    value: float | None = None
    ended: bool = False


def propose(space: Space, strategy: str, tried: Sequence[Tried], *, maximise: bool, seed: int) -> dict[str, str] | None:
    """Parameters of the next trial; None when every combination of a grid was tried.

    Parameters
    ----------
    strategy : str
        ``Bayesian``, ``Random`` or ``Grid`` (categories only).
    """
    if strategy == "Grid":
        done = {_key(trial.parameters) for trial in tried}
        return next((found for found in combinations(space) if _key(found) not in done), None)
    done = {_key(trial.parameters) for trial in tried}
    found: dict[str, str] = {}
    for draw in range(FRESH_DRAWS):
        found = _ask(space, strategy, tried, maximise, seed=(seed + 7919 * len(tried) + 104_729 * draw) % 2**32)
        if _key(found) not in done:
            break
    return found


def _ask(space: Space, strategy: str, tried: Sequence[Tried], maximise: bool, *, seed: int) -> dict[str, str]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if maximise else "minimize", sampler=_sampler(strategy, seed))
    distributions = {dimension.name: _distribution(dimension) for dimension in space}
    for trial in tried:
        study.add_trial(_frozen(space, distributions, trial))
    asked = study.ask(distributions)
    return {dimension.name: _text(dimension, asked.params[dimension.name]) for dimension in space}


def _sampler(strategy: str, seed: int) -> optuna.samplers.BaseSampler:
    import optuna

    if strategy == "Random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=START_AT_RANDOM, multivariate=True, constant_liar=True
    )


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.kind == "categorical":
        return CategoricalDistribution(dimension.values)
    logarithmic = dimension.scaling != "Linear"
    if dimension.kind == "integer":
        return IntDistribution(int(dimension.low), int(dimension.high), log=logarithmic)
    if dimension.scaling == "ReverseLogarithmic":
        return FloatDistribution(1 - dimension.high, 1 - dimension.low, log=True)
    return FloatDistribution(dimension.low, dimension.high, log=logarithmic)


def _frozen(space: Space, distributions: Any, trial: Tried) -> optuna.trial.FrozenTrial:
    import optuna
    from optuna.trial import TrialState

    state = TrialState.COMPLETE if trial.value is not None else TrialState.FAIL if trial.ended else TrialState.RUNNING
    params = {dimension.name: _number(dimension, trial.parameters[dimension.name]) for dimension in space}
    return optuna.create_trial(state=state, params=params, distributions=distributions, value=trial.value)


def _text(dimension: Dimension, value: Any) -> str:
    if dimension.scaling == "ReverseLogarithmic":
        value = min(max(1 - value, dimension.low), dimension.high)
    return dimension.text(value)


def _number(dimension: Dimension, text: str) -> Any:
    """The sampler's own value of a hyperparameter's string; a turned scale may have lost its last digit at the ends."""
    if dimension.kind == "categorical":
        return text
    if dimension.kind == "integer":
        return int(text)
    if dimension.scaling == "ReverseLogarithmic":
        return min(max(1 - float(text), 1 - dimension.high), 1 - dimension.low)
    return float(text)


def _key(parameters: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(parameters.items()))
