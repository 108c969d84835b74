"""Lines of the transform to rows, and counts: what differs is said by name."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.job import JobFailed
from scoring.lists import count, differences, write_lists
from support.scored_release import AT

WHEN = datetime.fromisoformat(AT)
USERS = ("u1", "u2", "u3")


def line(user_id: str, items: int = 2, **changes) -> str:
    names = [f"i{place}" for place in range(items)]
    one = {"user_id": user_id, "release_id": "r-1", "items": names, "scores": [0.5] * items, "degraded": []}
    return json.dumps(one | changes)


def collected(folder: Path, lines: list[str], users=USERS, users_in: int | None = None):
    (folder / "part.jsonl.out").write_text("".join(f"{text}\n" for text in lines))
    pq.write_table(pa.table({"user_id": list(users)}), folder / "ids.parquet")
    written = write_lists([folder / "part.jsonl.out"], folder / "lists.parquet", "r-1", WHEN, 2)
    counts = count(folder / "lists.parquet", written, users_in or len(users), folder / "count")
    return written, differences(counts, folder / "lists.parquet", [folder / "ids.parquet"], folder / "compare")


def test_a_list_of_every_user_is_whole_and_a_row_a_place(tmp_path):
    written, problem = collected(tmp_path, [line(user) for user in USERS])
    assert (problem, written.lists, written.rows) == (None, 3, 6)
    rows = pq.read_table(tmp_path / "lists.parquet").to_pylist()
    assert rows[1] == {
        "user_id": "u1",
        "position": 2,
        "item_id": "i1",
        "score": 0.5,
        "release_id": "r-1",
        "scored_for": WHEN,
    }


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param([line("u1"), line("u3")], ["users in 3, lists out 2", "without a list: u2"], id="one is missing"),
        pytest.param(
            [line("u1"), line("u2"), line("u3"), line("u3")], ["lists out 4", "with two lists: u3"], id="one twice"
        ),
        pytest.param(
            [line("u1"), line("u2"), line("u9")], ["without a list: u3", "nobody asked for: u9"], id="another's"
        ),
    ],
)
def test_what_differs_is_said_with_the_users(tmp_path, lines, said):
    _, problem = collected(tmp_path, lines)
    assert problem is not None
    assert all(words in problem for words in said), problem


def test_a_manifest_that_counts_other_users_than_there_are_is_a_difference(tmp_path):
    assert "users in 4" in str(collected(tmp_path, [line(user) for user in USERS], users_in=4)[1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('{"user_id": "u2", "rele', r"part\.jsonl\.out:2 is no list", id="truncated"),
        pytest.param(line("u2", release_id="r-2"), "made by r-2, not by r-1", id="of another release"),
        pytest.param(line("u2", items=3), "has 3 items", id="longer than asked"),
        pytest.param("[]", "expected user_id", id="no object"),
    ],
)
def test_a_line_that_is_no_list_of_the_release_is_named(tmp_path, text, said):
    with pytest.raises(JobFailed, match=said):
        collected(tmp_path, [line("u1"), text, line("u3")])


def test_short_and_degraded_lists_are_counted(tmp_path):
    written, problem = collected(tmp_path, [line("u1"), line("u2", items=1), line("u3", degraded=["ranker"])])
    assert (problem, written.short, dict(written.degraded)) == (None, 1, {"ranker": 1})
