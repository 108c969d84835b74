"""The evaluation job over whole releases: a real ranker, and a user tower that knows nothing but the container's contract."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation import evaluate
from features.job import run
from features.manifest import write_manifest
from support.prepared import make_prepared
from support.release_folders import store_ranker, store_tower


@dataclass(frozen=True)
class Stored:
    """A release's three folders, as processing inputs bring them."""

    two_tower: Path
    ranker: Path
    vectors: Path

    def options(self, prefix: str = "") -> list[str]:
        named = {"two-tower": self.two_tower, "ranker": self.ranker, "vectors": self.vectors}
        return [part for name, folder in named.items() for part in (f"--{prefix}{name}", str(folder))]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prepared(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def good(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp("good")
    tower, vectors = store_tower(prepared, folder / "tower", "a" * 64)
    return Stored(tower, store_ranker(prepared, folder / "ranker", "--num_leaves", "7"), vectors)


@pytest.fixture(scope="module")
def astray(prepared: Path, good: Stored, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    tower, vectors = store_tower(prepared, tmp_path_factory.mktemp("astray"), "b" * 64, turned=True)
    return Stored(tower, good.ranker, vectors)


def assess(prepared: Path, output: Path, *options: str) -> tuple[int, str, str]:
    """Exit code, message and standard error of the job."""
    message, errors = output.parent / "message", io.StringIO()
    common = [
        "--prepared",
        str(prepared),
        "--release-id",
        "r-1",
        "--output",
        str(output),
        "--message-file",
        str(message),
    ]
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = run(evaluate.parser(), evaluate.main, [*common, *options])
    return code, message.read_text(), errors.getvalue()


@pytest.fixture(scope="module")
def first(prepared: Path, good: Stored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the job wrote of a first release."""
    output = tmp_path_factory.mktemp("first") / "out"
    code, message, errors = assess(prepared, output, *good.options())
    assert code == 0, errors
    assert message.startswith("r-1 passed: ")
    return output


@pytest.fixture(scope="module")
def worse(prepared: Path, good: Stored, astray: Stored, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the job wrote of a candidate that is clearly worse than the champion: it ends well, and says no."""
    output = tmp_path_factory.mktemp("worse") / "out"
    code, message, errors = assess(prepared, output, *astray.options(), *good.options("champion-"))
    assert code == 0, errors
    assert message.startswith("r-1 rejected: ")
    return output


def read_evaluation(output: Path) -> dict:
    return json.loads(
        (output / "evaluation.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
    )


def test_a_first_release_is_measured_judged_and_shown(first):
    found = read_evaluation(first)
    assert found["gate"]["passed"]
    assert found["champion"] is None
    assert set(found["candidate"]["recall"]) == {
        "recall_at_10",
        "recall_at_50",
        "recall_at_100",
        "ndcg_at_10",
        "coverage",
    }
    assert set(found["candidate"]["ranking"]) == {"auc", "log_loss", "ndcg_at_10", "calibration_error"}
    assert found["candidate"]["recall"]["recall_at_100"] > found["popularity"]["recall_at_100"]
    assert found["candidate"]["ranking"]["auc"] > 0.55
    assert {line["segment"] for line in found["segments"]} == {"age", "city", "tenure", "topic"}
    for name in ("recall.recall_at_100", "ranking.auc", "ranking.ndcg_at_10"):
        around = found["intervals"][name]
        assert around["low"] < around["value"] < around["high"]


def test_segments_of_one_kind_add_up_to_the_whole(prepared, first):
    found = read_evaluation(first)
    rows = len(pq.read_table(prepared / "ranking" / "holdout"))
    for kind in ("age", "city", "tenure", "topic"):
        assert sum(line["impressions"] for line in found["segments"] if line["segment"] == kind) == rows
    tenure = [line for line in found["segments"] if line["segment"] == "tenure" and line["users"]]
    mean = sum(line["recall_at_100"] * line["users"] for line in tenure) / sum(line["users"] for line in tenure)
    assert mean == pytest.approx(found["candidate"]["recall"]["recall_at_100"])


def test_the_card_is_one_page_that_fetches_nothing(worse):
    page = (worse / "model_card.html").read_text()
    assert "r-1" in page
    assert page.count("<svg") == 5
    assert "Champion" in page
    assert not re.search(r"<script|<link|@import|(?:src|href)=\"(?!#)", page)
    assert not re.search(r"url\((?!#)", page)


def test_a_release_beside_itself_differs_in_nothing_and_passes(prepared, good, tmp_path):
    code, _, errors = assess(prepared, tmp_path / "out", *good.options(), *good.options("champion-"))
    assert code == 0, errors
    found = read_evaluation(tmp_path / "out")
    assert found["candidate"] == found["champion"]
    assert found["gate"]["passed"]
    assert all(around["low"] == around["high"] == 0 for name, around in found["intervals"].items() if name != "of")
    for line in found["segments"]:
        assert line["recall_at_100"] == line["champion_recall_at_100"]


def test_a_clearly_worse_tower_is_rejected_with_the_reason_and_the_job_ends_well(worse):
    found = read_evaluation(worse)
    assert not found["gate"]["passed"]
    assert any(reason.startswith("recall.recall_at_100") for reason in found["gate"]["reasons"])
    assert found["intervals"]["recall.recall_at_100"]["high"] < 0


def test_vectors_of_another_tower_are_never_met(prepared, good, astray, tmp_path):
    mixed = Stored(good.two_tower, good.ranker, astray.vectors)
    code, message, _ = assess(prepared, tmp_path / "out", *mixed.options())
    assert code == 1
    assert "vectors are of tower bbbbbbbbbbbb, the model is aaaaaaaaaaaa" in message
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_champion_comes_whole_or_not_at_all(prepared, good, tmp_path):
    code, message, _ = assess(prepared, tmp_path / "out", *good.options(), "--champion-ranker", str(good.ranker))
    assert code == 1
    assert "together" in message


def test_a_truncated_archive_is_refused(prepared, good, tmp_path):
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "model.tar.gz").write_bytes((good.ranker / "model.tar.gz").read_bytes()[:2000])
    cut = Stored(good.two_tower, tmp_path / "cut", good.vectors)
    code, message, _ = assess(prepared, tmp_path / "out", *cut.options())
    assert code == 1
    assert "no whole .tar.gz" in message


def test_a_holdout_of_one_class_is_rejected_by_the_gate_not_lost_in_a_trace(prepared, good, tmp_path):
    folder = shutil.copytree(prepared, tmp_path / "prepared")
    file = next((folder / "ranking" / "holdout").glob("*.parquet"))
    table = pq.read_table(file)
    zeros = pa.array([0] * len(table), pa.int8())
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", zeros), file)
    facts = {
        key: value
        for key, value in json.loads((prepared / "manifest.json").read_text()).items()
        if key not in ("stage", "files")
    }
    write_manifest(folder, "prepare_data", facts)
    code, _, errors = assess(folder, tmp_path / "out", *good.options())
    assert code == 0, errors
    found = read_evaluation(tmp_path / "out")
    assert found["candidate"]["ranking"]["auc"] is None
    assert "candidate ranking.auc is nan; expected a finite number" in found["gate"]["reasons"]
