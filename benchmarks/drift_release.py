"""Releases of `drift_world`: train a ranker as the product does, take its baseline, and serve days with it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.drift_world import PLACES, Life, Shift, listed, stacked
from monitors.baseline_files import Baseline
from monitors.explainability import Explainer
from monitors.judging import build_baseline
from monitors.shown import Shown
from ranker.boosting import Parameters, margins, train_booster
from ranker.calibration import fit_calibration
from ranker.encoding import fit
from ranker.scorer import Scorer
from ranker.train import plan_for

LEARN_DAYS, REPLAYED = 21, 4000
PARAMETERS = Parameters(num_iterations=60, num_leaves=15, num_threads=1)


@dataclass(frozen=True)
class Release:
    """A baseline with the index of its day."""

    baseline: Baseline
    index_I: np.ndarray
    things: object  # item counts as of its night


def log_day(life: Life, day: int) -> Shown:
    """A day before there was a ranker: candidates in the order of chance."""
    user_R, at_us_R = life.requests(day)
    rng = np.random.default_rng([life.world.spec.seed, 12, day])
    item_RC = life.candidates(user_R, life.index(day), rng)[:, :PLACES]
    raw = life.raw(np.repeat(user_R, PLACES), item_RC.ravel(), np.repeat(at_us_R, PLACES), day, life.things)
    shown = listed(raw, item_RC, user_R, at_us_R, rng.random(item_RC.shape))
    shown = replace(shown, label=life.clicked(shown, day))
    life.remember(shown)
    return shown


def serve(life: Life, release: Release, day: int, shift: Shift | None = None) -> Shown:
    """A day's lists with what became of them; the night has to `remember` them."""
    user_R, at_us_R = life.requests(day, shift)
    shown = answer(life, release.baseline.scorer, release.index_I, release.things, user_R, at_us_R, day)
    return replace(shown, label=life.clicked(shown, day, shift))


def answer(
    life: Life, scorer: Scorer, index_I: np.ndarray, things: object, user_R: np.ndarray, at_us_R: np.ndarray, day: int
) -> Shown:
    """Lists by a ranker."""
    rng = np.random.default_rng([life.world.spec.seed, 13, day])
    item_RC = life.candidates(user_R, index_I, rng)
    size = item_RC.shape[1]
    raw = life.raw(np.repeat(user_R, size), item_RC.ravel(), np.repeat(at_us_R, size), day, things)  # type: ignore[arg-type]
    return listed(raw, item_RC, user_R, at_us_R, scorer.score(raw).reshape(item_RC.shape))


def release(life: Life, days: list[Shown], day: int) -> Release:
    """Train on the last days but two, stop and calibrate on the next, hold out the last; then replay two weeks' requests."""
    learn, later, held_out = stacked(days[-LEARN_DAYS:-2]), days[-2], days[-1]
    plan = plan_for(learn.columns, PARAMETERS.smoothing)
    encoder, encoded = fit(plan, _as_shown(learn), learn.label, seed=1)
    after = encoder.encode(_as_shown(later)).matrix("booster")
    booster = train_booster(
        encoded.matrix("booster"),
        learn.label,
        names=encoder.names("booster"),
        categorical=encoder.categorical("booster"),
        parameters=PARAMETERS,
        validation=(after, later.label),
    )
    calibration = fit_calibration(margins(booster, after), later.label)
    scorer = Scorer("ranker", encoder, "booster", lambda matrix: margins(booster, matrix), calibration)
    with tempfile.TemporaryDirectory() as folder:
        trees = Path(folder) / "trees.txt"
        trees.write_text(booster.model_to_string(num_iteration=booster.best_iteration))
        explainer = Explainer(scorer, trees)
    index_I, things = life.index(day), life.things.frozen()
    user_R, at_us_R = _past_requests(days[-14:])
    replayed = answer(life, scorer, index_I, things, user_R, at_us_R, day)
    popularity = {int(item): float(life.things.clicks_30d[item]) for item in index_I}
    baseline = build_baseline(replayed, held_out, popularity, scorer, explainer, release_id=f"day-{day}")  # type: ignore[arg-type]
    return Release(baseline, index_I, things)


def _as_shown(shown: Shown) -> dict[str, np.ndarray]:
    return {**shown.raw, "position": shown.position}


def _past_requests(days: list[Shown]) -> tuple[np.ndarray, np.ndarray]:
    rows = np.concatenate([np.unique(day.request, return_index=True)[1] + 0 for day in days])
    owner = np.repeat(np.arange(len(days)), [int(day.request.max()) + 1 for day in days])
    user = np.array([days[place].user[row] for place, row in zip(owner, rows, strict=True)])
    at_us = np.array([days[place].at_us[row] for place, row in zip(owner, rows, strict=True)])
    chosen = np.sort(np.random.default_rng(len(user)).choice(len(user), min(REPLAYED, len(user)), replace=False))
    return user[chosen], at_us[chosen]
