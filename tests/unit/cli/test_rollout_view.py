"""A rollout in words, from what its machine, the traffic item and the looks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cli.rollout_view import RolloutView, arms_table, difference

NEW, OLD = {"release": "r-new", "slot": "green"}, {"release": "r-old", "slot": "blue"}
TRAFFIC = {
    "rollout_id": "r-new",
    "champion": OLD,
    "candidate": NEW,
    "previous": None,
    "share_bp": 1000,
    "holdback_bp": 0,
}
COUNTS = {"requests": 30, "errors": 1, "degraded": 0, "buckets": 25, "impressions": 300, "clicks": 60}
SEEN: dict[str, Any] = {
    "release_id": "r-new",
    "ends_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    "verdict": "inconclusive",
    "reason": "the candidate has 10 of 25 requests",
    "action": "look_again",
    "extended": False,
    "evidence": {
        "windows": [{"candidate": COUNTS, "champion": COUNTS}],
        "metrics": {"clicks": {"relative_difference": {"estimate": -0.1, "low": -0.3, "high": 12.0}}},
    },
}


def view(
    status: str = "RUNNING", traffic: dict[str, Any] | None = None, seen: dict[str, Any] | None = None
) -> RolloutView:
    return RolloutView(
        SimpleNamespace(), "r-new", status, "", {**TRAFFIC, **(traffic or {})}, SEEN if seen is None else seen
    )  # type: ignore[arg-type]


def shown(renderable: Any) -> str:
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(renderable)
    return console.export_text()


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (view(status=""), "waits for its approval"),
        (view(seen={}), "on its way into the free slot"),
        (view(traffic={"rollout_id": "r-old"}), "on its way into the free slot"),
        (view(), "before 10 % of the users"),
        (
            view(traffic={"champion": NEW, "candidate": None, "previous": OLD, "holdback_bp": 500}),
            "5 % of the users stay",
        ),
        (view(traffic={"champion": NEW, "candidate": None}), "serves everybody"),
        (view(traffic={"candidate": None}), "is taken down"),
        (view(status="FAILED"), "ended FAILED"),
    ],
)
def test_a_rollout_says_where_it_stands(of, words):
    assert words in of.stage
    assert words in shown(of.panel())


def test_a_rehearsal_shows_both_arms_the_time_left_and_the_verdict_so_far():
    text = shown(view().panel())
    for part in (
        "s left",
        "candidate",
        "champion",
        "0.2000",
        "-10% (-30% to +999%)",
        "inconclusive",
        "10 of 25 requests",
    ):
        assert part in text


def test_a_rollout_that_waits_says_for_whom_and_one_that_goes_says_so():
    waits = view(traffic={"rollout_id": "r-old"})
    waits.holder = "r-old"
    assert waits.stage == "waits for the stage, which r-old has"
    waits.holder = "r-new-back-0a1b2c3d"
    assert waits.stage == "is taken down"


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"ask": "pause", "by": "ada", "at": "now"}, "paused by ada"),
        ({"ask": "promote", "by": "ada", "at": "now", "version": 7}, "ada asked at now to go on"),
        ({"ask": "promote", "by": "ada", "at": "now", "version": 6}, None),
        ({"ask": "resume", "by": "ada", "at": "now"}, None),
    ],
)
def test_a_wish_is_shown_while_it_has_an_effect(wish, words):
    asked = view(traffic={"version": 7})
    asked.wish = wish
    assert words in shown(asked.panel()) if words else "ada" not in shown(asked.panel())
    assert asked.facts()["wish"] == wish


def test_time_is_left_only_while_a_stage_is_looked_at():
    assert 0 < float(view().seconds_left or 0) <= 86_400
    assert view(seen={**SEEN, "action": "next"}).seconds_left is None
    assert view(status="SUCCEEDED").seconds_left is None


def test_before_anything_is_known_there_are_dashes_and_no_numbers():
    assert difference({}) == "–"
    assert "–" in shown(arms_table({"evidence": {"windows": [{}]}}))
