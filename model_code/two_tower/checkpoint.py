"""Epochs kept on disk: tensors as safetensors, the rest as JSON, and a pointer that moves last.

SageMaker copies the folder to S3 while it is written, so nothing is ever overwritten in place.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from features.job import JobFailed

POINTER = "state.json"


@dataclass(slots=True)
class Progressed:
    """How far a run is: what a resumed one must know beside the tensors."""

    epoch: int = 0  # epochs done
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    start: dict[str, float] = field(default_factory=dict)  # metrics before the first epoch


def save_checkpoint(folder: Path, run: str, progressed: Progressed, tensors: dict[str, torch.Tensor]) -> None:
    """Keep one epoch; the one before it goes when the new one is safely named.

    Parameters
    ----------
    run : str
        Fingerprint of data and parameters: only the same run may resume.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"epoch-{progressed.epoch:04d}.safetensors"
    draft = folder / f".{name}"
    save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, draft)
    draft.replace(folder / name)
    state: dict[str, Any] = {
        "format": 1,
        "run": run,
        "tensors": name,
        "epoch": progressed.epoch,
        "best_epoch": progressed.best_epoch,
        "best": progressed.best,
        "losses": progressed.losses,
        "start": progressed.start,
    }
    pointer_draft = folder / f".{POINTER}"
    pointer_draft.write_text(json.dumps(state), encoding="utf-8")
    os.replace(pointer_draft, folder / POINTER)
    for old in folder.glob("epoch-*.safetensors"):
        if old.name != name:
            old.unlink()


def load_checkpoint(folder: Path, run: str) -> tuple[Progressed, dict[str, torch.Tensor]] | None:
    """The last epoch of this very run, or None where there is none of it.

    Raises
    ------
    JobFailed
        If the checkpoint is this run's and cannot be read.
    """
    try:
        state = json.loads((folder / POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise JobFailed(
            f"checkpoint {folder / POINTER} cannot be read ({error}); empty the folder to start anew"
        ) from error
    if state.get("run") != run or state.get("format") != 1:
        return None
    file = folder / Path(str(state["tensors"])).name
    try:
        tensors = load_file(file)
    except (OSError, SafetensorError) as error:
        raise JobFailed(f"checkpoint {file} cannot be read ({error}); empty the folder to start anew") from error
    known = {name: state[name] for name in ("epoch", "best_epoch", "best", "losses", "start")}
    return Progressed(**known), tensors
