"""Hyperparameters of the training job, from SageMaker's environment and the command line."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from features.job import JobFailed

STOP_METRICS = ("recall_at_10", "recall_at_50", "recall_at_100", "ndcg_at_10")
TEACHERS = ("none", "ials", "ensemble")
_NOT_OURS = ("program", "wheelhouse", "_tuning_objective_metric")  # launch.py's, and what marks a trial of a search


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a run may be told; every default holds for a night on a small world.

    Attributes
    ----------
    teacher : str
        ``none``: id vectors start random (or warm) and learn by sampled softmax alone. ``ials``, ``ensemble``: they start
        distilled from a wider model of the pairs (docs/decisions/two_tower-teacher.md).
    search_pairs : int
        Up to so many distinct positives the teacher's numbers are chosen on the validation split; 0 keeps the recipe's.
    epochs : int
        Passes over the training rows at most; 0 keeps the teacher's start as it is.
    batch_size, negatives : int
        Rows of the *global* batch, and uniform negatives drawn beside them.
    learning_rate : float
        Of Adam; falls to 0 along a cosine over `epochs`.
    id_dropout : float
        Share of rows whose user (and, apart from that, item) is shown as a stranger, in [0, 1): it trains the features.
    weight_decay : float
        Per step of size 1, on feature tables and network only.
    stop_metric : str
        Validation metric that decides which epoch is kept.
    least_gain : float
        By which share of it an epoch must better the best so far to take its place: validation is noisy.
    patience : int
        Epochs without a better one until the run stops.
    init_scale : float
        Deviation of random starts.
    seed : int
    processes_per_host : int
        Ranks that share every batch, on each host; 0 means one a GPU, at least one.
    checkpoint_dir : str
        Where epochs are kept for resuming; empty means the folder `checkpoints` beside SM_MODEL_DIR where there is one
        (SageMaker makes /opt/ml/checkpoints if the job has a CheckpointConfig), else nowhere.
    """

    teacher: str = "ensemble"
    search_pairs: int = 300_000
    epochs: int = 5
    batch_size: int = 1024
    negatives: int = 512
    learning_rate: float = 0.001
    id_dropout: float = 0.2
    weight_decay: float = 0.0
    stop_metric: str = "recall_at_50"
    least_gain: float = 0.01
    patience: int = 2
    init_scale: float = 0.1
    seed: int = 0
    processes_per_host: int = 0
    checkpoint_dir: str = ""

    def __post_init__(self) -> None:
        problems = [
            (self.teacher in TEACHERS, f"teacher is {self.teacher!r}; expected one of {', '.join(TEACHERS)}"),
            (self.epochs >= 0, f"epochs is {self.epochs}; expected 0 or more"),
            (self.epochs > 0 or self.teacher != "none", "epochs is 0 without a teacher: nothing would be learnt"),
            (self.batch_size >= 2, f"batch_size is {self.batch_size}; expected 2 or more"),
            (self.negatives >= 0, f"negatives is {self.negatives}; expected 0 or more"),
            (self.learning_rate > 0, f"learning_rate is {self.learning_rate}; expected more than 0"),
            (0 <= self.id_dropout < 1, f"id_dropout is {self.id_dropout}; expected 0 to below 1"),
            (self.weight_decay >= 0, f"weight_decay is {self.weight_decay}; expected 0 or more"),
            (self.search_pairs >= 0, f"search_pairs is {self.search_pairs}; expected 0 or more"),
            (self.least_gain >= 0, f"least_gain is {self.least_gain}; expected 0 or more"),
            (self.patience >= 1, f"patience is {self.patience}; expected 1 or more"),
            (self.processes_per_host >= 0, f"processes_per_host is {self.processes_per_host}; expected 0 or more"),
            (self.init_scale > 0, f"init_scale is {self.init_scale}; expected more than 0"),
            (
                self.stop_metric in STOP_METRICS,
                f"stop_metric is {self.stop_metric!r}; expected {', '.join(STOP_METRICS)}",
            ),
        ]
        wrong = [sentence for holds, sentence in problems if not holds]
        if wrong:
            raise JobFailed("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class Folders:
    """Where SageMaker has put things."""

    prepared: Path
    model: Path
    warm: Path | None
    checkpoints: Path | None


def training_parser() -> argparse.ArgumentParser:
    """Every hyperparameter as an option; script mode passes them all, `--program` included."""
    parser = argparse.ArgumentParser(description="Train the two towers on a prepared folder.", allow_abbrev=False)
    for field in fields(Parameters):
        parser.add_argument(f"--{field.name}", f"--{field.name.replace('_', '-')}", dest=field.name)
    for name in _NOT_OURS:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    return parser


def read_parameters(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Parameters:
    """Options win over SM_HPS, SM_HPS over the defaults.

    Raises
    ------
    JobFailed
        For a name nobody declared or a value that cannot be read, all of them at once.
    """
    given: dict[str, Any] = {key: value for key, value in json.loads(environ.get("SM_HPS", "{}")).items()}
    given = {key: value for key, value in given.items() if key not in _NOT_OURS and not key.startswith("sagemaker_")}
    options = {name: value for name, value in vars(arguments).items() if value is not None and name not in _NOT_OURS}
    types = {name: type(value) for name, value in asdict(Parameters()).items()}
    values: dict[str, Any] = {}
    problems = []
    for name, value in (given | options).items():
        if name not in types:
            problems.append(f"{name} is no hyperparameter of this job")
            continue
        try:
            values[name] = types[name](value)
        except (TypeError, ValueError):
            problems.append(f"{name} is {value!r}; expected {types[name].__name__}")
    if problems:
        raise JobFailed("; ".join(problems))
    return Parameters(**values)


def read_folders(parameters: Parameters, environ: Mapping[str, str] = os.environ) -> Folders:
    """Folders from SM_CHANNEL_PREPARED, SM_MODEL_DIR and, where there is one, SM_CHANNEL_WARM."""
    missing = [name for name in ("SM_CHANNEL_PREPARED", "SM_MODEL_DIR") if not environ.get(name)]
    if missing:
        raise JobFailed(f"{', '.join(missing)} not set: the job needs channel `prepared` and a model folder")
    warm, model = environ.get("SM_CHANNEL_WARM"), Path(environ["SM_MODEL_DIR"])
    given = Path(parameters.checkpoint_dir) if parameters.checkpoint_dir else model.parent / "checkpoints"
    checkpoints = given if parameters.checkpoint_dir or given.is_dir() else None
    return Folders(Path(environ["SM_CHANNEL_PREPARED"]), model, Path(warm) if warm else None, checkpoints)
