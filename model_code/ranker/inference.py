"""The ranker's container: SageMaker's four functions.

In   POST text/csv, one row a candidate, cells = the declared columns in manifest order, no header.
     `text/csv; position=given` scores at the position in the row instead of at 1: evaluation and monitors, where labels were.
Out  application/json {"ranker_id": str, "scores": [p, ...]}, p the calibrated click probability.
Bad input is a ValueError of input_fn or predict_fn whose text is one sentence for the caller.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ranker.requests import read_cells, to_raw
from ranker.scorer import Scorer, load_scorer


def model_fn(model_dir: str) -> Scorer:
    """Load the model folder, and score one row of missing values so that the first request finds everything warm."""
    scorer = load_scorer(Path(model_dir))
    predict_fn({"rows": [[""] * len(scorer.encoder.plan.columns)], "position_as_given": False}, scorer)
    return scorer


def input_fn(body: bytes | str, content_type: str) -> dict[str, Any]:
    """Split the body into cells; which columns they are, only the model knows."""
    media_type, _, parameter = (part.strip().lower() for part in content_type.partition(";"))
    if media_type != "text/csv":
        raise ValueError(f"content type is {content_type!r}; expected text/csv")
    if parameter not in ("", "charset=utf-8", "position=given"):
        raise ValueError(f"text/csv has parameter {parameter!r}; expected none, charset=utf-8 or position=given")
    return {"rows": read_cells(body), "position_as_given": parameter == "position=given"}


def predict_fn(data: dict[str, Any], model: Scorer) -> dict[str, Any]:
    """Check the cells against the model's columns, and score."""
    scores = model.score(to_raw(data["rows"], model.encoder.plan.columns), position_as_given=data["position_as_given"])
    return {"ranker_id": model.ranker_id, "scores": scores.tolist()}


def output_fn(prediction: dict[str, Any], accept: str) -> bytes:
    """JSON, whatever was asked for: it is the only form there is."""
    return json.dumps(prediction).encode()
