from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from features.job import JobFailed
from monitors.captures import sample
from monitors.join import Source, join_window
from monitors.window import Window, moment
from support.monitor_logs import Logs, write_logs
from support.monitor_tables import NOON, table

WINDOW = Window(moment("2026-03-02T12:00:00"), moment("2026-03-02T13:00:00"))
COLUMNS = (("age", "number"), ("city", "category"))
SECOND = 1_000_000


def lists(requests: int = 6, at_us: int = NOON):
    """Three rows a request, the second one clicked, requests a second apart."""
    rows = requests * 3
    request = np.repeat(np.arange(requests), 3)
    return table(
        age=np.arange(rows, dtype=float) + 20,
        city=np.array([f"c{row}" for row in range(rows)], object),
        user=request % 4,
        request=request,
        item=np.array([f"i{row}" for row in range(rows)], object),
        position=np.tile([1.0, 2.0, 3.0], requests),
        at_us=at_us + request * SECOND,
        label=np.tile([0.0, 1.0, 0.0], requests),
    )


def scores(shown) -> np.ndarray:
    return 0.9 - shown.position / 10 + np.arange(len(shown)) / 1e4


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    shown = lists()
    return write_logs(tmp_path, shown, scores(shown))


def joined(logs: Logs, **more):
    return join_window(Source(logs.capture, logs.served, logs.feedback, **more), WINDOW, "r-1", COLUMNS)


def only(folder: Path) -> Path:
    return next(file for file in folder.rglob("*") if file.is_file())


def test_each_shown_row_meets_its_features_and_label(logs):
    found = joined(logs).shown
    wanted = lists()
    order = [int(item[1:]) for item in found.item]
    assert sorted(order) == list(range(18))
    assert found.raw["age"].tolist() == wanted.raw["age"][order].tolist()
    assert found.raw["city"].tolist() == wanted.raw["city"][order].tolist()
    assert found.label.tolist() == wanted.label[order].tolist()
    assert found.position.tolist() == wanted.position[order].tolist()


def test_a_truncated_capture_costs_its_last_call_only(logs):
    file = only(logs.capture)
    file.write_bytes(file.read_bytes()[:-300])
    found = joined(logs)
    assert len(found.shown) == 15
    assert any("1 unreadable" in note for note in found.notes)


def test_the_same_files_twice_count_once(logs):
    for folder in (logs.capture, logs.served, logs.feedback):
        file = only(folder)
        file.with_name("again" + file.suffix).write_bytes(file.read_bytes())
    found = joined(logs)
    assert len(found.shown) == 18
    assert any(note.startswith("served lists: 12 lines of 2 files, 6 duplicates") for note in found.notes)


def test_gzipped_logs_are_read_and_one_that_ends_too_early_gives_what_it_holds(logs):
    for folder in (logs.served, logs.feedback):
        file = only(folder)
        file.write_bytes(gzip.compress(file.read_bytes()))
    assert len(joined(logs).shown) == 18
    file = only(logs.feedback)
    file.write_bytes(file.read_bytes()[:-20])
    assert len(joined(logs).shown) == 18


def test_labels_of_nobody_are_counted_and_left_out(logs):
    with only(logs.feedback).open("a") as sink:
        sink.write(json.dumps({"request_id": "nobody", "item_id": "i1", "event_type": "click"}) + "\n")
        sink.write(json.dumps({"request_id": "q000000", "item_id": "i99", "event_type": "click"}) + "\n")
        sink.write("{broken\n")
    found = joined(logs)
    assert found.shown.label.sum() == 6
    assert "1 labels of items that were not shown" in found.notes
    assert any(note.startswith("labels:") and "1 unreadable" in note for note in found.notes)


def test_a_row_is_labelled_only_when_its_impression_came_back(logs):
    file = only(logs.feedback)
    lines = [line for line in file.read_text().splitlines() if '"i0"' not in line]
    file.write_text("\n".join(lines) + "\n")
    found = joined(logs).shown
    assert np.isnan(found.label[found.item == "i0"]).all()
    assert len(found.labelled()) == 17


def test_ground_truth_lines_are_labels_too(logs):
    line = {
        "groundTruthData": {"data": "i0,1\ni1,0", "encoding": "CSV"},
        "eventMetadata": {"eventId": "q000000"},
        "eventVersion": "0",
    }
    only(logs.feedback).write_text(json.dumps(line) + "\n")
    found = joined(logs).shown
    assert dict(zip(found.item, found.label, strict=True))["i0"] == 1
    assert len(found.labelled()) == 2


def test_requests_at_the_edges_belong_to_one_window(tmp_path):
    shown = lists(requests=2, at_us=NOON + 3599 * SECOND)  # 12:59:59 and 13:00:00
    logs = write_logs(tmp_path, shown, scores(shown))
    following = Window(WINDOW.end, moment("2026-03-02T14:00:00"))
    source = Source(logs.capture, logs.served)
    before, after = (join_window(source, window, "r-1", COLUMNS).shown for window in (WINDOW, following))
    assert (set(before.item), set(after.item)) == ({"i0", "i1", "i2"}, {"i3", "i4", "i5"})


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        pytest.param("r-2", "Job inputs had no data: no list of r-2 in the window, 6 of r-1", id="another release"),
        pytest.param("r-1", "Job inputs had no data: none of 6 lists of r-1 has a captured call", id="no captures"),
    ],
)
def test_nothing_to_look_at_says_why(logs, release, sentence):
    only(logs.capture).unlink()
    with pytest.raises(JobFailed, match=sentence):
        join_window(Source(logs.capture, logs.served), WINDOW, release, COLUMNS)


def test_a_column_that_is_no_longer_captured_is_missing(tmp_path):
    shown = lists()
    logs = write_logs(tmp_path, shown, scores(shown), cells=lambda row: row[:1])
    found = joined(logs).shown
    assert found.cells == 1
    assert set(found.raw["city"]) == {""}


def test_cells_that_are_no_numbers_are_counted(tmp_path):
    shown = lists()
    logs = write_logs(tmp_path, shown, scores(shown), cells=lambda row: ["n/a", *row[1:]])
    found = joined(logs).shown
    assert found.unreadable == {"age": 18}


def test_ten_times_the_volume_is_a_fixed_sample(logs):
    found = joined(logs, max_requests=2)
    assert len(found.shown) == 6
    assert sorted(joined(logs, max_requests=2).shown.item) == sorted(found.shown.item)
    assert sample([f"q{number}" for number in range(100)], 10) == sample(
        [f"q{number}" for number in range(99, -1, -1)], 10
    )
