"""Train the ranker in both served forms, measure them as the container would run them, and pick one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import lightgbm
import numpy as np

from evaluation.metrics import auc
from ranker.boosting import Parameters, attributions, margins, train_booster
from ranker.calibration import fit_calibration
from ranker.encoding import Encoded, Encoder, Plan, fit
from ranker.export import to_onnx
from ranker.samples import Samples
from ranker.scorer import Scorer, ServedForm, booster_margins, onnx_margins

LATENCY_ROWS = 200
AUC_TOLERANCE = 0.002  # a faster form may cost this much on the validation rows, not more
MARGIN_TOLERANCE = 1e-5  # how far the served scores may lie from the trainer's, in log odds


@dataclass(frozen=True, slots=True)
class Fitted:
    """One served form, trained."""

    form: ServedForm
    booster: lightgbm.Booster
    model: bytes  # what the container loads
    margins: Callable[[np.ndarray], np.ndarray]
    auc: float  # on the validation rows
    latency_ms: float  # encode and score 200 rows, median
    export_s: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The picked form with what led to it."""

    fitted: dict[ServedForm, Fitted]
    encoder: Encoder
    scorer: Scorer  # ranker_id still empty: it is the hash of the files
    reason: str
    attributions: dict[str, float]

    @property
    def picked(self) -> Fitted:
        return self.fitted[ServedForm(self.scorer.form)]


class Diverged(ValueError):
    """Training ended without a usable model."""


def train_both(plan: Plan, train: Samples, validation: Samples, parameters: Parameters) -> Choice:
    """Fit the encoding and both forms, and calibrate the picked one on the validation rows.

    The attributions are those of the picked form on at most 2,000 validation rows.
    """
    encoder, encoded = fit(plan, train.raw, train.labels, seed=parameters.seed)
    later = encoder.encode(validation.raw)
    fitted = {
        form: fit_form(form, encoder, (encoded, train.labels), (later, validation.labels), parameters, validation)
        for form in ServedForm
    }
    if parameters.served_form == "measured":
        picked, reason = pick(fitted[ServedForm.ONNX], fitted[ServedForm.BOOSTER])
    else:
        picked, reason = fitted[ServedForm(parameters.served_form)], "named by the hyperparameter served_form"
    matrix = later.matrix(picked.form.value)
    calibration = fit_calibration(picked.margins(matrix), validation.labels)
    columns = [name for name, _ in plan.columns]
    sample = matrix[np.linspace(0, len(matrix) - 1, min(len(matrix), 2000)).astype(int)]
    shares = attributions(picked.booster, sample, encoder.sources(picked.form.value), columns)
    scorer = Scorer("", encoder, picked.form.value, picked.margins, calibration)
    return Choice(fitted, encoder, scorer, reason, shares)


def fit_form(
    form: ServedForm,
    encoder: Encoder,
    train: tuple[Encoded, np.ndarray],
    later: tuple[Encoded, np.ndarray],
    parameters: Parameters,
    validation: Samples,
) -> Fitted:
    """Train one form, export it, and check that what is served scores like what was trained.

    Raises
    ------
    Diverged
        If a score is not finite, or the served scores differ from the trainer's by more than `MARGIN_TOLERANCE`.
    """
    matrix = later[0].matrix(form.value)
    booster = train_booster(
        train[0].matrix(form.value),
        train[1],
        names=encoder.names(form.value),
        categorical=encoder.categorical(form.value),
        parameters=parameters,
        validation=(matrix, later[1]),
    )
    begun = time.perf_counter()
    model = to_onnx(booster) if form is ServedForm.ONNX else booster.model_to_string().encode()
    export_s = time.perf_counter() - begun
    served = (onnx_margins if form is ServedForm.ONNX else booster_margins)(model)
    expected, scores = margins(booster, matrix), served(matrix)
    if not np.isfinite(scores).all():
        raise Diverged(f"the {form} form scores NaN or infinity")
    if (apart := float(np.abs(expected - scores).max())) > MARGIN_TOLERANCE:
        raise Diverged(
            f"the {form} form's scores differ from the trainer's by {apart:.2g}; at most {MARGIN_TOLERANCE} is allowed"
        )
    latency = latency_ms(encoder, form, served, validation)
    return Fitted(form, booster, model, served, auc(later[1], scores), latency, export_s)


def pick(onnx: Fitted, booster: Fitted) -> tuple[Fitted, str]:
    """The faster form, unless it is the numeric one and costs too much accuracy."""
    loss = booster.auc - onnx.auc
    if loss > AUC_TOLERANCE:
        return (
            booster,
            f"numeric splits lose {loss:.4f} validation AUC, more than {AUC_TOLERANCE}: native categoricals at any latency",
        )
    faster, slower = sorted((onnx, booster), key=lambda form: form.latency_ms)
    return (
        faster,
        f"{faster.form} scores {LATENCY_ROWS} rows in {faster.latency_ms:.2f} ms, {slower.form} in {slower.latency_ms:.2f} ms",
    )


def latency_ms(
    encoder: Encoder, form: ServedForm, served: Callable[[np.ndarray], np.ndarray], samples: Samples
) -> float:
    """Median milliseconds to encode and score 200 raw rows on one thread, of 30 tries."""
    places = np.resize(np.arange(len(samples)), LATENCY_ROWS)
    raw = {
        name: values[places] if isinstance(values, np.ndarray) else [values[place] for place in places]
        for name, values in samples.raw.items()
    }
    times = []
    for _ in range(33):
        begun = time.perf_counter()
        served(encoder.encode(raw).matrix(form.value))
        times.append(time.perf_counter() - begun)
    return float(np.median(times[3:]) * 1e3)


def describe(parameters: Parameters, plan: Plan) -> dict[str, object]:
    """What was chosen before training, for the manifest."""
    return {
        **asdict(parameters),
        "crosses": [list(cross) for cross in plan.crosses],
        "folds": plan.folds,
        "bins": plan.bins,
    }
