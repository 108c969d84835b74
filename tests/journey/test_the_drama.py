"""`make run` whole: a champion, a release promoted on evidence, a poisoned one caught, a decay healed, and no user who saw an error."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cli.account_commands import local_parameters
from cli.demo_acts import Drama, add_a_day, first_night, prepare_data, rehearse_good, rehearse_poisoned
from cli.demo_drift import lose_and_regain
from cli.rollout_view import read_verdicts
from cli.stage import read_releases, read_traffic
from support.deployed import ROOT, deployed
from support.soak import SOAKING

pytestmark = [pytest.mark.skipif(not SOAKING, reason="takes ten minutes: make soak"), pytest.mark.timeout(1800)]


def test_a_good_release_is_promoted_a_poisoned_one_caught_a_decay_healed_and_no_user_sees_an_error(
    tmp_path: Path,
) -> None:
    with deployed(tmp_path / "account", **local_parameters(ROOT / "samconfig.toml")) as site:
        drama = Drama(site, rps=15, began=time.monotonic())
        prepare_data(drama)
        first_night(drama)
        with drama.users(tmp_path / "traffic.jsonl"):
            add_a_day(drama)
            rehearse_good(drama)
            add_a_day(drama)
            rehearse_poisoned(drama)
            regained = lose_and_regain(drama)
        first, good, poisoned, healed = drama.rollouts
        traffic, tally = read_traffic(site), drama.tally
        assert traffic is not None
        assert (traffic["champion"]["release"], traffic["candidate"], traffic["previous"]) == (healed, None, None)
        status = {release["release_id"]: release["status"] for release in read_releases(site)}
        assert status == {first: "retired", good: "retired", poisoned: "rejected", healed: "champion"}
        assert [verdict["verdict"] for verdict in read_verdicts(site, good)][:2] == ["pass", "pass"]
        assert read_verdicts(site, poisoned)[-1]["verdict"] == "fail"
        assert tally is not None
        assert tally.client_errors == 0, tally.errors + tally.feedback_errors
        assert tally.releases[poisoned].rate().high < tally.releases[good].rate().low
        assert regained >= 0.9
