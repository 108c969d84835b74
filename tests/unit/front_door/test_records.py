"""Records say what was last put, to whoever asks, and after the process too."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from local_account import records as records_module
from local_account.records import Records


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite"


def test_what_was_put_last_is_what_there_is(file: Path) -> None:
    records = Records(file)
    assert records.get("a", "1") is None
    for value in (1, 2):
        records.put("a", "1", {"n": value})
        assert [records.get("a", "1"), records.get("a", "1")] == [{"n": value}] * 2
    records.delete("a", "1")
    assert records.get("a", "1") is None
    records.put("a", "1", {"n": 3})
    records.close()
    assert Records(file).get("a", "1") == {"n": 3}


def test_a_reader_changes_its_own_copy(file: Path) -> None:
    records = Records(file)
    records.put("a", "1", {"list": []})
    for _ in range(2):
        found = records.get("a", "1")
        assert found is not None
        found["list"].append("mine")
    assert records.get("a", "1") == {"list": []}


def test_kinds_do_not_meet_and_keep_their_order(file: Path) -> None:
    records = Records(file)
    for kind, key in (("b", "2"), ("a", "1"), ("b", "1")):
        records.put(kind, key, kind + key)
    assert [records.get("a", "1"), records.get("b", "1"), records.get("a", "2")] == ["a1", "b1", None]
    assert list(records.all("b")) == [("2", "b2"), ("1", "b1")]


def test_more_than_is_kept_as_text_is_there_all_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "_KEPT", 2)
    records = Records(file)
    for number in range(5):
        records.put("a", str(number), number)
    assert [records.get("a", str(number)) for number in (*range(5), *range(5))] == [*range(5), *range(5)]


def test_a_figure_that_is_none_comes_back(file: Path) -> None:
    records = Records(file)
    records.put("a", "1", {"v": math.nan})
    found = records.get("a", "1")
    assert found is not None
    assert math.isnan(found["v"])
