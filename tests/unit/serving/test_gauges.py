"""What doors say as metrics: shares of users after a change of traffic, clicks of each arm, a night's cost."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.outcome_logs import NOW, Bucket, Letters, MemoryOutcomes, MemoryShown, created, feedback
from support.releases import release
from understudy.adapters.aws_aggregate import AggregateWorld
from understudy.adapters.gauges import tell_night, tell_shares
from understudy.contracts.traffic import Standing, Traffic
from understudy.settings import AggregateOutcomesSettings

BLUE, GREEN = Standing(release="r-1", slot="blue"), Standing(release="r-2", slot="green")


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """EMF lines on stdout, without their directive."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [{name: value for name, value in line.items() if name != "_aws"} for line in lines if "_aws" in line]


def traffic(**changes: Any) -> Traffic:
    return Traffic(
        change_id="c", champion=BLUE, salt="s", reason="r", changed_at=datetime(2026, 1, 1, tzinfo=UTC), **changes
    )


@pytest.mark.parametrize(
    ("now", "shares"),
    [
        pytest.param(traffic(), (100, 0, 0), id="nobody rehearses: the champion has everybody"),
        pytest.param(traffic(candidate=GREEN, share_bp=1050), (89.5, 10.5, 0), id="a stage"),
        pytest.param(traffic(previous=GREEN, holdback_bp=500), (95, 0, 5), id="the watch: some stay on the one before"),
    ],
)
def test_the_shares_of_all_arms_make_a_whole(
    now: Traffic, shares: tuple[float, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    tell_shares(now)
    (line,) = said(capsys)
    assert (line["ChampionShare"], line["CandidateShare"], line["HoldbackShare"]) == shares


def test_before_the_first_release_there_is_no_share(capsys: pytest.CaptureFixture[str]) -> None:
    tell_shares(None)
    assert said(capsys) == []


def test_clicks_are_told_by_arm_and_by_release_and_a_log_delivered_twice_only_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bucket, outcomes = Bucket(), MemoryOutcomes()
    shown: Any = MemoryShown()
    letters: Any = Letters()
    settings = AggregateOutcomesSettings(outcomes_table="o", dead_letter_queue_url="q")
    world = AggregateWorld(settings, bucket, outcomes, shown, letters, lambda: NOW)
    tried = {"arm": "candidate", "assigned_release_id": "r-2"}
    lines = [feedback(n, "impression", item, arm="champion") for n in range(3) for item in ("i-0", "i-1")]
    lines += [feedback(0, "click", "i-0", arm="champion"), feedback(7, "impression", "i-0", **tried)]
    lines += [feedback(8, "click", "i-0", **tried), feedback(0, "like", "i-0", arm="champion")]
    for key in ("feedback/a", "feedback/again"):
        bucket.put(key, lines)
        world.count_object(created(key))
    found = [line for line in said(capsys) if "Arm" in line]
    assert found == [
        {"Arm": "champion", "Release": "r-1", "Impressions": 6, "Clicks": 1},
        {"Arm": "candidate", "Release": "r-2", "Impressions": 1, "Clicks": 1},
    ]


def test_a_late_click_and_a_line_without_an_arm_are_in_no_click_rate(capsys: pytest.CaptureFixture[str]) -> None:
    bucket = Bucket()
    shown: Any = MemoryShown()
    letters: Any = Letters()
    settings = AggregateOutcomesSettings(outcomes_table="o", dead_letter_queue_url="q")
    world = AggregateWorld(settings, bucket, MemoryOutcomes(), shown, letters, lambda: NOW)
    late = feedback(0, "click", "i-0", arm="champion", known_at=(NOW + timedelta(hours=30)).isoformat())
    bucket.put("feedback/a", [late, feedback(1, "click", "i-0")])
    world.count_object(created("feedback/a"))
    assert not [line for line in said(capsys) if "Clicks" in line]


def test_a_nights_figures_are_told_and_a_cost_that_is_not_known_is_not_zero(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"ranking": {"ndcg_at_10": 0.4, "auc": None}, "recall": {"recall_at_10": 0.1}}
    tell_night(release(metrics=metrics, lineage={"cost_usd": 0.25}))
    tell_night(release(metrics=metrics, lineage={"cost_usd": None}, gate={"passed": False}))
    first, second = said(capsys)
    assert first == {"NightCost": 0.25, "OfflineNdcg": 0.4, "OfflineRecall": 0.1, "GatePassed": 1}
    assert "NightCost" not in second
    assert second["GatePassed"] == 0
