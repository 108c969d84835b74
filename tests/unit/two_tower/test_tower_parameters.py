from __future__ import annotations

import json
from pathlib import Path

import pytest

from features.job import JobFailed
from two_tower.parameters import Parameters, read_folders, read_parameters, training_parser


def read(argv: list[str], hps: dict | None = None) -> Parameters:
    return read_parameters(training_parser().parse_args(argv), {"SM_HPS": json.dumps(hps or {})})


def test_options_win_over_the_environment_and_the_environment_over_defaults() -> None:
    found = read(
        ["--epochs", "3", "--program", "two_tower/train.py"], {"epochs": "7", "batch_size": 64, "sagemaker_region": "x"}
    )
    assert (found.epochs, found.batch_size, found.teacher) == (3, 64, "ensemble")


@pytest.mark.parametrize(
    ("argv", "hps", "sentence"),
    [
        ([], {"epoch": 3}, "epoch is no hyperparameter"),
        (["--epochs", "many"], {}, "epochs is 'many'; expected int"),
        (["--teacher", "oracle"], {}, "teacher is 'oracle'; expected one of none, ials, ensemble"),
        (["--id-dropout", "1"], {}, "id_dropout is 1.0; expected 0 to below 1"),
        (["--learning_rate", "nan"], {}, "learning_rate is nan; expected more than 0"),
        (["--epochs", "0", "--teacher", "none"], {}, "nothing would be learnt"),
        (["--stop_metric", "auc"], {}, "stop_metric is 'auc'; expected recall_at_10"),
    ],
)
def test_a_wrong_hyperparameter_is_told_by_name(argv: list[str], hps: dict, sentence: str) -> None:
    with pytest.raises(JobFailed, match=sentence):
        read(argv, hps)


def test_checkpoints_go_beside_the_model_where_sagemaker_has_made_the_folder(tmp_path) -> None:
    environ = {"SM_CHANNEL_PREPARED": "prepared", "SM_MODEL_DIR": str(tmp_path / "model")}
    assert read_folders(Parameters(), environ).checkpoints is None
    (tmp_path / "checkpoints").mkdir()
    assert read_folders(Parameters(), environ).checkpoints == tmp_path / "checkpoints"
    assert read_folders(Parameters(checkpoint_dir="/elsewhere"), environ).checkpoints == Path("/elsewhere")


def test_a_missing_channel_is_told() -> None:
    with pytest.raises(JobFailed, match="SM_CHANNEL_PREPARED"):
        read_folders(Parameters(), {"SM_MODEL_DIR": "/tmp/x"})  # noqa: S108  never touched
