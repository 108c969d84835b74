"""A trained ranker as a value: encode, score by the served form, calibrate. What the container runs, and what training measures.

numpy, and ONNX Runtime or LightGBM: whichever the served form needs, imported only then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from ranker.calibration import Calibration
from ranker.encoding import Encoder, Form, Raw

MANIFEST, ENCODING = "manifest.json", "encoding.json"
POSITION, SERVED_POSITION = "position", 1.0


class ServedForm(StrEnum):
    """How the trees are served; the manifest's `served_form`. A built-in XGBoost would be a member of its own."""

    ONNX = "onnx"  # numeric splits, ONNX Runtime
    BOOSTER = "booster"  # native categoricals, LightGBM


FILES: Mapping[ServedForm, str] = {ServedForm.ONNX: "model.onnx", ServedForm.BOOSTER: "model.txt"}


@dataclass(frozen=True, slots=True)
class Scorer:
    """One served ranker. `columns` are what a request must bring, in order."""

    ranker_id: str
    encoder: Encoder
    form: Form
    margins: Callable[[np.ndarray], np.ndarray]  # (N, F) float32 -> (N,) log odds
    calibration: Calibration

    def score(self, raw: Raw, *, position_as_given: bool = False) -> np.ndarray:
        """Click probabilities of shape (N,).

        Position explains past clicks; no candidate has one yet. So all are scored as if shown first, whatever their
        cell says, unless `position_as_given`: what was shown is judged where it was shown.
        """
        if POSITION in raw and not position_as_given:
            raw = {**raw, POSITION: np.full(len(raw[POSITION]), SERVED_POSITION)}
        return self.calibration.probability(self.margins(self.encoder.encode(raw).matrix(self.form)))


def load_scorer(folder: Path) -> Scorer:
    """Read a model folder: manifest.json, encoding.json, and the served form's file.

    Raises
    ------
    ValueError
        If the manifest is no ranker's, or of a format this code does not know, or a file is not as it was written.
    """
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest.get("kind") != "ranker" or manifest.get("format") != 1:
        raise ValueError(
            f"{folder} holds {manifest.get('kind')!r} of format {manifest.get('format')!r}; expected ranker of format 1"
        )
    form = ServedForm(manifest["served_form"])
    for name, digest in manifest["sha256"].items():
        if hashlib.sha256((folder / Path(name).name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} was truncated or altered: its sha256 is not the manifest's")
    read = onnx_margins if form is ServedForm.ONNX else booster_margins
    return Scorer(
        ranker_id=manifest["ranker_id"],
        encoder=Encoder.from_document(json.loads((folder / ENCODING).read_text(encoding="utf-8"))),
        form=form.value,
        margins=read((folder / FILES[form]).read_bytes()),
        calibration=Calibration.from_document(manifest["calibration"]),
    )


def onnx_margins(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Scores by ONNX Runtime on one thread: workers are the parallelism of an endpoint."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name: Any = session.get_inputs()[0].name
    return lambda matrix: session.run(None, {name: matrix})[0][:, 0]


def booster_margins(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Scores by LightGBM on one thread, from its text form."""
    import lightgbm

    booster = lightgbm.Booster(model_str=model.decode("utf-8"))
    return lambda matrix: np.asarray(booster.predict(matrix, raw_score=True, num_threads=1))
