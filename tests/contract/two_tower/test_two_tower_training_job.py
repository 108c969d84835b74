from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from features.manifest import write_manifest
from support.prepared import make_prepared
from support.training_job import CODE, Finished, Train, job_environment, train_apart

SHORT = ("--teacher", "none", "--epochs", "2", "--batch-size", "128", "--patience", "9", "--learning-rate", "0.01")


def altered(prepared: Path, folder: Path, path: str, change) -> Path:
    """A copy of the prepared folder with one table changed."""
    shutil.copytree(prepared, folder)
    (folder / "manifest.json").unlink()
    file = folder / path / "part-0.parquet"
    pq.write_table(change(pq.read_table(file)), file)
    write_manifest(folder, "prepare_data")
    return folder


def test_the_job_leaves_what_the_seam_names_and_says_how_good_it_is(trained: Finished) -> None:
    manifest = trained.manifest
    assert (manifest["kind"], manifest["format"], manifest["dimension"]) == ("two_tower", 1, 64)
    assert re.fullmatch("[0-9a-f]{64}", manifest["tower_id"])
    assert manifest["user_columns"] == ["user_age", "user_city", "user_segment", "user_last_5_clicks"]
    assert all((trained.model / name).is_file() for name in manifest["files"].values())
    assert {file.relative_to(trained.model / "code").as_posix() for file in trained.model.rglob("code/**/*.py")} == {
        "inference.py",
        "two_tower/__init__.py",
        "two_tower/artefact.py",
        "two_tower/encoding.py",
    }
    assert set(manifest["metrics"]["baselines"]) == {"popularity", "random"}
    assert re.search(r"^loss=[\d.]+; recall_at_10=[\d.e-]+; recall_at_50=", trained.log, re.MULTILINE)


def test_equal_runs_have_equal_towers(prepared: Path, train: Train) -> None:
    first, second = (train(prepared, *SHORT) for _ in range(2))
    assert first.manifest["tower_id"] == second.manifest["tower_id"]
    assert train(prepared, *SHORT, "--seed", "1").manifest["tower_id"] != first.manifest["tower_id"]


def test_a_run_that_was_stopped_resumes_to_the_very_losses_of_one_that_was_not(
    prepared: Path, train: Train, tmp_path: Path
) -> None:
    """The job is killed as soon as it says that its second epoch is safe."""
    options = (*SHORT[:2], "--epochs", "40", *SHORT[4:], "--checkpoint-dir", str(tmp_path / "checkpoints"))
    killed = subprocess.Popen(
        [sys.executable, str(CODE / "two_tower" / "train.py"), *options],
        env=job_environment(prepared, tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert killed.stdout is not None
    with killed, killed.stdout:
        assert any("checkpoint of epoch 2 kept" in line for line in killed.stdout)
        killed.kill()
    assert not (tmp_path / "model" / "manifest.json").exists()
    resumed, whole = train(prepared, *options), train(prepared, *options[:-2])
    assert re.search(r"resumed after epoch [2-9]\b", resumed.log)
    assert resumed.losses == whole.losses
    assert resumed.manifest["metrics"] == whole.manifest["metrics"]


def test_two_processes_have_the_losses_of_one(prepared: Path, train: Train, tmp_path: Path) -> None:
    """The job starts its ranks itself. Tolerance 1e-5 relative: the sums are the same, in another order, in float32."""
    one, two = train(prepared, *SHORT), train_apart(prepared, tmp_path, *SHORT, "--processes-per-host", "2")
    assert two.code == 0, two.errors
    assert two.losses == pytest.approx(one.losses, rel=1e-5)
    vectors = [load_file(done.model / "ids.safetensors")["users"] for done in (one, two)]
    assert np.allclose(*vectors, atol=1e-3)


@pytest.mark.parametrize("teacher", ["none", "ials"])
def test_a_warm_start_begins_near_the_last_release(
    prepared: Path, train: Train, trained: Finished, teacher: str
) -> None:
    options = ("--teacher", teacher, "--epochs", "1", "--learning-rate", "1e-7")
    warm = train(prepared, *options, SM_CHANNEL_WARM=str(trained.model))
    cold = train(prepared, *options)
    last = load_file(trained.model / "ids.safetensors")["items"]
    near, far = (np.linalg.norm(load_file(done.model / "ids.safetensors")["items"] - last) for done in (warm, cold))
    assert near < 0.7 * far
    assert warm.manifest["metrics"]["warm_tower_id"] == trained.manifest["tower_id"]


@pytest.mark.parametrize(
    ("path", "change", "sentence"),
    [
        pytest.param("recall/train", lambda t: t.slice(0, 0), "recall/train holds no rows", id="no data"),
        pytest.param(
            "recall/validation", lambda t: t.slice(0, 0), "recall/validation holds no rows", id="no validation"
        ),
        pytest.param(
            "recall/train",
            lambda t: t.filter(pc.equal(t["user_id"], t["user_id"][0])),
            "knows one user only",
            id="one user",
        ),
        pytest.param(
            "items", lambda t: t.drop_columns("item_topic"), "items lacks the columns item_topic", id="no topic"
        ),
        pytest.param("items", lambda t: t.slice(60), "which items/ does not hold", id="an item nobody described"),
        pytest.param(
            "recall/train",
            lambda t: t.set_column(
                t.schema.get_field_index("weight"), "weight", pa.array([np.nan] * len(t), pa.float32())
            ),
            "weights that are missing",
            id="weights that are no numbers",
        ),
    ],
)
def test_data_that_cannot_be_learnt_from_fails_with_one_sentence(
    prepared: Path, train: Train, tmp_path: Path, path: str, change, sentence: str
) -> None:
    done = train(altered(prepared, tmp_path / "prepared", path, change), *SHORT)
    assert done.code == 1
    assert sentence in done.failure
    assert done.errors.strip().splitlines()[-1] == done.failure
    assert not (done.model / "manifest.json").exists()


def test_a_loss_that_is_no_number_fails_with_epoch_and_step(prepared: Path, train: Train) -> None:
    done = train(prepared, *SHORT[:-1], "1e30")
    assert done.code == 1
    assert re.search(
        r"loss is not finite at step \d+ of epoch 1, it is (nan|inf): .* learning_rate 1e\+30", done.failure
    )


def test_a_truncated_prepared_folder_is_refused(prepared: Path, train: Train, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "prepared"))
    file = folder / "recall" / "train" / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-10])
    assert "is truncated" in train(folder, *SHORT).failure


def test_the_towers_learn_more_than_popularity(train: Train, tmp_path: Path) -> None:
    done = train(make_prepared(tmp_path, users=400, items=150, days=8), "--stop-metric", "recall_at_50")
    metrics = done.manifest["metrics"]
    assert metrics["recall_at_50"] > 1.1 * metrics["baselines"]["popularity"]["recall_at_50"]
    assert metrics["recall_at_50"] > 1.1 * metrics["baselines"]["random"]["recall_at_50"]
    assert json.dumps(metrics)
