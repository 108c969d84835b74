"""Training job: fit the ranker on the prepared impressions, in both served forms, and package the better one.

In   channel `prepared` (SM_CHANNEL_PREPARED): ranking/{train,validation}/*.parquet, features.yaml, manifest.json
Out  SM_MODEL_DIR: manifest.json, encoding.json, model.onnx or model.txt, code/
Hyperparameters: the fields of `ranker.boosting.Parameters`, as options (script mode passes them so).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from features.declaration import load
from features.job import JobFailed, metric, progress, run
from features.manifest import read_manifest
from ranker.boosting import Parameters
from ranker.encoding import Column, Plan
from ranker.package import write_package
from ranker.samples import BadSamples, read_samples
from ranker.selection import Choice, Diverged, describe, train_both

CROSSES = (
    ("user_segment", "item_topic"),
    ("user_city", "item_topic"),
    ("user_age", "item_topic"),
    ("hour", "item_topic"),
)  # joint click rates beside the declared crosses; dropped where a declaration lacks a part


def parser(environ: Mapping[str, str] = os.environ) -> argparse.ArgumentParser:
    """Every hyperparameter as an option, as SageMaker's script mode passes them; paths from its environment."""
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--prepared", type=Path, default=environ.get("SM_CHANNEL_PREPARED"))
    made.add_argument("--model-dir", type=Path, default=environ.get("SM_MODEL_DIR"))
    for name, default in asdict(Parameters()).items():
        made.add_argument(f"--{name}", type=type(default), default=default)
    made.add_argument("--wheelhouse", help=argparse.SUPPRESS)  # launch.py's
    return made


def main(arguments: argparse.Namespace) -> str:
    """Train, measure, package."""
    if arguments.prepared is None or arguments.model_dir is None:
        raise JobFailed("no prepared data or model folder: set SM_CHANNEL_PREPARED and SM_MODEL_DIR")
    parameters = Parameters(**{field.name: getattr(arguments, field.name) for field in fields(Parameters)})
    prepared = Path(arguments.prepared)
    read_manifest(prepared, "prepare_data")
    plan = plan_for(declared_columns(prepared), parameters.smoothing)
    try:
        train, validation = (
            read_samples(prepared / "ranking" / split, plan.columns) for split in ("train", "validation")
        )
        progress(f"{len(train)} training rows, base rate {train.labels.mean():.4f}; {len(validation)} validation rows")
        choice = train_both(plan, train, validation, parameters)
    except (BadSamples, Diverged) as error:
        raise JobFailed(f"ranker: {error}") from error
    metrics = measure(choice, validation.raw, validation.labels)
    manifest = write_package(Path(arguments.model_dir), choice, metrics=metrics, parameters=describe(parameters, plan))
    metric(**metrics)
    progress(f"served form {manifest['served_form']}: {choice.reason}")
    return f"ranker {manifest['ranker_id'][:12]}: validation AUC {metrics['validation_auc']:.4f}, served as {manifest['served_form']}"


def declared_columns(prepared: Path) -> tuple[Column, ...]:
    """The ranker's columns as the prepared folder's own declaration has them."""
    return tuple((column.name, column.kind) for column in load(prepared / "features.yaml").ranker)


def plan_for(columns: tuple[Column, ...], smoothing: float) -> Plan:
    names = {name for name, _ in columns}
    return Plan(columns, tuple(cross for cross in CROSSES if names.issuperset(cross)), smoothing=smoothing)


def measure(choice: Choice, raw: Mapping[str, object], labels: np.ndarray) -> dict[str, float]:
    """Metrics on the validation rows, at the positions where the labels arose."""
    scores = choice.scorer.score(raw, position_as_given=True)
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    measured = {
        "validation_auc": choice.picked.auc,
        "validation_log_loss": float(-np.mean(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped))),
        **{f"validation_auc_{form.value}": fitted.auc for form, fitted in choice.fitted.items()},
        **{f"trees_{form.value}": float(fitted.booster.best_iteration) for form, fitted in choice.fitted.items()},
    }
    if not np.isfinite(list(measured.values())).all():
        raise JobFailed("ranker: a metric is NaN or infinite")
    return measured


if __name__ == "__main__":
    sys.exit(run(parser(), main))
