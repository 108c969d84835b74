"""The comparison of two parameter sets on the holdout: real rankers and real towers, through the job's own entry."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from evaluation import compare_parameters
from features.job import run
from support.prepared import make_prepared
from support.release_folders import pack, store_ranker
from support.training_job import train_here


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prepared(tmp_path_factory.mktemp("prepared"), users=120, items=90)


@pytest.fixture(scope="module")
def rankers(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("rankers")
    return {
        "good": store_ranker(prepared, folder / "good", "--num_leaves", "15"),
        "poor": store_ranker(prepared, folder / "poor", "--num_leaves", "2", "--num_iterations", "1"),
    }


def compare(prepared: Path, output: Path, model: str, today: Path, tuned: Path) -> tuple[int, str, str]:
    """Exit code, message and standard error of the job."""
    message, errors = output.parent / "message", io.StringIO()
    folders = {"prepared": prepared, "today": today, "tuned": tuned, "output": output, "message-file": message}
    options = [part for name, folder in folders.items() for part in (f"--{name}", str(folder))]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = run(compare_parameters.parser(), compare_parameters.main, ["--model", model, *options])
    return code, message.read_text(), errors.getvalue()


def read(output: Path) -> dict:
    return json.loads((output / "comparison.json").read_text())


def test_a_better_ranker_is_shown_to_be_better_and_the_other_way_round_worse(prepared, rankers, tmp_path):
    code, message, errors = compare(prepared, tmp_path / "up", "ranker", rankers["poor"], rankers["good"])
    assert code == 0, errors
    assert "ranking.auc of the tuned parameters minus today's +" in message
    up = read(tmp_path / "up")
    assert up["intervals"]["ranking.auc"]["low"] > 0
    assert up["tuned"]["ranking.auc"] - up["today"]["ranking.auc"] == pytest.approx(
        up["intervals"]["ranking.auc"]["value"]
    )
    compare(prepared, tmp_path / "down", "ranker", rankers["good"], rankers["poor"])
    down = read(tmp_path / "down")
    assert down["intervals"]["ranking.auc"]["high"] < 0
    assert (down["today"], down["tuned"]) == (up["tuned"], up["today"])


def test_towers_are_compared_by_recall_over_the_same_held_out_users(prepared, tmp_path):
    untaught = ("--teacher", "none", "--epochs", "1")
    rates = {"slow": "0.000001", "fast": "0.01"}
    trained = {name: train_here(prepared, tmp_path / name, *untaught, "--learning_rate", rates[name]) for name in rates}
    folders = [pack(done.model, tmp_path / f"{name}-packed") for name, done in trained.items()]
    code, _, errors = compare(prepared, tmp_path / "out", "two_tower", *folders)
    assert code == 0, errors
    found = read(tmp_path / "out")
    assert found["primary"] == "recall.recall_at_50"
    difference = found["intervals"]["recall.recall_at_50"]
    both = [found[side]["recall.recall_at_50"] for side in ("today", "tuned")]
    assert difference["value"] == pytest.approx(both[1] - both[0])
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert both[0] != both[1]
    assert set(found["today"]) == {
        f"recall.{name}" for name in ("recall_at_10", "recall_at_50", "recall_at_100", "ndcg_at_10")
    }
    assert 0 < found["users"] <= 120


def test_a_model_of_the_other_kind_is_refused_in_a_sentence(prepared, rankers, tmp_path):
    code, message, _ = compare(prepared, tmp_path / "out", "two_tower", rankers["good"], rankers["good"])
    assert (code, message) == (1, "today holds a model of kind 'ranker'; expected 'two_tower'")
