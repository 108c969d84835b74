"""A night on real users, films and times: MovieLens 100K, imported as its users would import it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.data_commands import lake_of
from cli.night_commands import start_night
from cli.stage import read_release
from features.importers.movielens import import_movielens
from features.importers.run import Target
from support.deployed import deployed, run_to_its_end

DATA = Path(__file__).parents[3] / "shared/data/ml-100k"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data/ml-100k is absent"),
]


def test_a_night_on_movielens_beats_the_most_popular_films_and_loses_no_row(tmp_path):
    with deployed(tmp_path / "state") as site:
        target = Target(lake_of(site), site.client("dynamodb"), site.outputs["StateTable"], tmp_path / "rejects.jsonl")
        report = import_movielens(DATA, target)
        assert (report.landed.rows, sum(report.rejected.values())) == (155_375, 0)
        night = run_to_its_end(site, start_night(site, {"reason": "movielens", "window_days": 220}))
        assert night.status == "SUCCEEDED", night.failure()
        registration = json.loads(night.described["output"])
        assert registration["registered"], registration["reasons"]
        metrics = read_release(site, registration["release_id"])["metrics"]
        assert metrics["index"]["count"] == 1_682
        assert metrics["ranking"]["auc"] > 0.6
