"""Training job: a prepared folder in, the two towers of a release out.

In   channel `prepared`; optional channel `warm` (the last release's model.tar.gz); hyperparameters of `Parameters`
Out  SM_MODEL_DIR: manifest.json, user_tower.onnx, item_tower.onnx, vocabulary.json, ids.safetensors, code/
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from features.job import run
from two_tower.parameters import read_folders, read_parameters, training_parser
from two_tower.ranks import plan_ranks, run_ranks


def main(arguments: argparse.Namespace) -> str:
    """Train here, or start this host's ranks, which do; the sentence says what was kept."""
    parameters = read_parameters(arguments)
    ranks = plan_ranks(parameters.processes_per_host)
    if ranks is not None:
        return run_ranks(ranks, Path(__file__).resolve(), sys.argv[1:])
    from two_tower.one_rank import train_rank  # torch: seconds and memory that a process which only waits does not need

    return train_rank(parameters, read_folders(parameters))


if __name__ == "__main__":
    sys.exit(run(training_parser(), main))
