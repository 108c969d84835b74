"""The ranker's training job and container as SageMaker runs them: processes, folders, environment, and nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest

from features.job import run
from features.manifest import write_manifest
from ranker.train import main, parser
from support.prepared import make_prepared

CODE = Path(__file__).parents[3] / "model_code"
# A container has numpy and the served form's runtime: this refuses everything else that training may use.
SERVE = """
import importlib.abc, json, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ImportError(name + " is not in the container")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1] + "/code")
import inference
model = inference.model_fn(sys.argv[1])
for content_type in ("text/csv", "text/csv; position=given"):
    data = inference.input_fn(sys.stdin.buffer.read() if content_type == "text/csv" else body, content_type)
    body = b"" if content_type != "text/csv" else "\\n".join(",".join(row) for row in data["rows"]).encode()
    print(inference.output_fn(inference.predict_fn(data, model), "application/json").decode())
"""
TRAINING_ONLY = ("pyarrow", "yaml", "onnx", "features", "evaluation", "duckdb", "torch")


OPTIONS = ("--num_iterations", "40", "--num_threads", "1")


def job_environment(prepared: Path, opt: Path) -> dict[str, str]:
    return {
        "SM_CHANNEL_PREPARED": str(prepared),
        "SM_MODEL_DIR": str(opt / "model"),
        "SM_OUTPUT_DATA_DIR": str(opt / "output" / "data"),
    }


def train(prepared: Path, opt: Path) -> subprocess.CompletedProcess[str]:
    """The job as SageMaker starts it."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CODE), **job_environment(prepared, opt)}
    command = [sys.executable, str(CODE / "ranker" / "train.py"), *OPTIONS]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def train_here(prepared: Path, opt: Path, *options: str) -> tuple[int, str]:
    """The job's own entry in this process: importing LightGBM is most of a short job. Exit code and standard error."""
    errors = io.StringIO()
    with (
        mock.patch.dict(os.environ, job_environment(prepared, opt)),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        return run(parser(), main, [*OPTIONS, *options]), errors.getvalue()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prepared(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def opt(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opt")
    done = train(prepared, folder)
    assert done.returncode == 0, done.stderr
    assert "validation_auc=" in done.stdout
    return folder


def manifest_of(opt: Path) -> dict:
    return json.loads((opt / "model" / "manifest.json").read_text())


def holdout_csv(prepared: Path, columns: list, rows: int = 50, position: str | None = None) -> str:
    table = pq.read_table(next((prepared / "ranking" / "holdout").glob("*.parquet"))).slice(0, rows)
    cells = [["" if value is None else str(value) for value in table[name].to_pylist()] for name, _ in columns]
    if position is not None:
        cells[[name for name, _ in columns].index("position")] = [position] * rows
    return "\n".join(",".join(row) for row in zip(*cells, strict=True))


def serve(model: Path, body: str, refused: tuple[str, ...]) -> list[dict]:
    command = [sys.executable, "-c", SERVE.replace("{refused!r}", repr(refused)), str(model)]
    done = subprocess.run(
        command,
        input=body,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_manifest_says_what_serving_monitors_and_people_need(prepared, opt):
    manifest = manifest_of(opt)
    assert (manifest["kind"], manifest["format"]) == ("ranker", 1)
    assert len(manifest["columns"]) == 20
    assert manifest["columns"][-1] == ["position", "number"]
    assert set(manifest["attributions"]) == {name for name, _ in manifest["columns"]}
    assert manifest["attributions"]["position"] > 0
    assert manifest["served_form"] in manifest["latency_ms"]
    assert set(manifest["latency_ms"]) == {"onnx", "booster"}
    assert manifest["served_form_reason"]
    assert manifest["export"]["seconds"] < 30
    assert manifest["export"]["bytes"]["onnx"] < 20_000_000
    assert manifest["metrics"]["validation_auc"] > 0.55


def test_the_archive_serves_with_numpy_and_its_runtime_alone(prepared, opt):
    manifest = manifest_of(opt)
    other = "lightgbm" if manifest["served_form"] == "onnx" else "onnxruntime"
    answer, _ = serve(opt / "model", holdout_csv(prepared, manifest["columns"]), (*TRAINING_ONLY, other))
    assert answer["ranker_id"] == manifest["ranker_id"]
    assert len(answer["scores"]) == 50
    assert all(0 < score < 1 for score in answer["scores"])
    files = {str(file.relative_to(opt / "model")) for file in (opt / "model").rglob("*") if file.is_file()}
    code = {
        f"code/ranker/{name}.py" for name in ("__init__", "calibration", "encoding", "requests", "scorer", "statistics")
    }
    assert files == {"manifest.json", *manifest["files"].values(), "code/inference.py", *code}


def test_served_scores_stand_at_position_one_whatever_the_cell_says(prepared, opt):
    columns = manifest_of(opt)["columns"]
    first, first_given = serve(opt / "model", holdout_csv(prepared, columns, position="1.0"), TRAINING_ONLY)
    tenth, tenth_given = serve(opt / "model", holdout_csv(prepared, columns, position="10"), TRAINING_ONLY)
    assert first["scores"] == tenth["scores"] == first_given["scores"]
    assert sum(tenth_given["scores"]) < sum(first["scores"])


def test_same_seed_and_form_same_ranker_and_another_seed_another(prepared, opt, tmp_path):
    form = ("--served_form", manifest_of(opt)["served_form"])  # left to a stopwatch, two runs may serve two forms
    assert train_here(prepared, tmp_path / "again", *form)[0] == 0
    assert train_here(prepared, tmp_path / "other", *form, "--seed", "8")[0] == 0
    assert manifest_of(tmp_path / "again")["served_form_reason"] == "named by the hyperparameter served_form"
    assert manifest_of(tmp_path / "again")["ranker_id"] == manifest_of(opt)["ranker_id"]
    assert manifest_of(tmp_path / "other")["ranker_id"] != manifest_of(opt)["ranker_id"]


@pytest.mark.parametrize("form", ["onnx", "booster"])
def test_a_named_form_is_served_whatever_its_latency(prepared, tmp_path, form):
    assert train_here(prepared, tmp_path, "--served_form", form)[0] == 0
    assert manifest_of(tmp_path)["served_form"] == form


def test_a_form_nobody_serves_is_refused_by_name(prepared, tmp_path):
    code, errors = train_here(prepared, tmp_path, "--served_form", "gbm")
    assert code != 0
    assert "served_form is 'gbm'; expected measured, onnx or booster" in errors


def test_a_truncated_model_is_refused_before_it_serves(prepared, opt, tmp_path):
    model = shutil.copytree(opt / "model", tmp_path / "model")
    file = model / manifest_of(opt)["files"]["model"]
    file.write_bytes(file.read_bytes()[:-100])
    command = [sys.executable, "-c", SERVE.replace("{refused!r}", "()"), str(model)]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
    assert done.returncode
    assert "truncated or altered" in done.stderr


def rewritten(prepared: Path, into: Path, split: str, change) -> Path:
    """A copy of the prepared folder with one ranking split changed, its manifest whole."""
    folder = shutil.copytree(prepared, into)
    file = next((folder / "ranking" / split).glob("*.parquet"))
    table = change(pq.read_table(file))
    pq.write_table(table, file)
    write_manifest(folder, "prepare_data")
    return folder


def with_labels(table, label: int):
    import pyarrow as pa

    place = table.schema.get_field_index("label")
    return table.set_column(place, "label", pa.array([label] * len(table), pa.int8()))


@pytest.mark.parametrize(
    ("split", "change", "sentence"),
    [
        pytest.param("train", lambda t: with_labels(t, 0), "train: only one class, all", id="no click in train"),
        pytest.param(
            "validation", lambda t: with_labels(t, 1), "validation: only one class", id="clicks alone in validation"
        ),
        pytest.param("train", lambda t: t.slice(0, 0), "train: no rows to learn from", id="no rows"),
        pytest.param(
            "train",
            lambda t: t.drop_columns(["user_ctr_7d"]),
            "columns user_ctr_7d are declared but absent",
            id="a column less",
        ),
        pytest.param("train", lambda t: with_labels(t, 3), "a label is neither 0 nor 1", id="another label"),
    ],
)
def test_what_cannot_be_learned_from_fails_with_one_sentence(prepared, tmp_path, split, change, sentence):
    code, errors = train_here(rewritten(prepared, tmp_path / "bad", split, change), tmp_path / "opt")
    assert code == 1
    last = errors.strip().splitlines()[-1]
    assert sentence in last
    assert "Traceback" not in errors
    assert (tmp_path / "opt" / "output" / "failure").read_text() == last
    assert not (tmp_path / "opt" / "model" / "manifest.json").exists()


def test_a_truncated_prepared_file_is_named(prepared, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "bad")
    file = next((folder / "ranking" / "train").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-10])
    code, errors = train_here(folder, tmp_path / "opt")
    assert code == 1
    assert "is truncated" in errors.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [("num_leaves", "1", "num_leaves is 1; expected 2 or more"), ("smoothing", "0", "smoothing is 0.0; expected more")],
)
def test_a_hyperparameter_out_of_range_is_named(prepared, tmp_path, option, value, sentence):
    code, errors = train_here(prepared, tmp_path, f"--{option}", value)
    assert code == 1
    assert sentence in errors.strip().splitlines()[-1]
