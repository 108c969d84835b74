"""functions/close_rollout: the last word about a release that left, and about the one that serves again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import FencedOff

EVENT = golden("close_rollout/on_verdict")
RELEASE = EVENT["release_id"]
AT = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Packages:
    def __init__(self) -> None:
        self.statuses: dict[str, tuple[str, str]] = {}

    def describe_model_package(self, ModelPackageName):
        return {"ModelApprovalStatus": self.statuses.get(ModelPackageName, ("Approved", ""))[0]}

    def update_model_package(self, ModelPackageArn, ModelApprovalStatus, ApprovalDescription):
        assert self.statuses.get(ModelPackageArn) is None, "told once"
        self.statuses[ModelPackageArn] = (ModelApprovalStatus, ApprovalDescription)


def traffic(champion, **changes):
    fields = {"change_id": "c", "salt": "s", "reason": "r", "changed_at": AT, "fence": 9}
    return Traffic.model_validate({**fields, "champion": Standing(release=champion, slot="blue"), **changes})


@pytest.fixture
def close(monkeypatch):
    def close(status, on_stage, champion_status="champion", **changes):
        door, packages = load_door("close_rollout"), Packages()
        releases = MemoryReleases(release(RELEASE, status=status), release("r-old", status=champion_status))
        monkeypatch.setattr(door, "world", lambda: door.World(MemoryTraffic(on_stage), releases, packages))
        answers = [door.handler(EVENT | changes, CONTEXT) for _ in range(2)]  # a repeated step changes nothing more
        return releases, packages, answers[0]

    return close


@pytest.mark.parametrize(
    ("cause", "word"),
    [("verdict", "rejected"), ("alarm", "rejected"), ("operator", "retired"), ("ended", "retired")],
)
def test_the_cause_decides_the_word(close, cause, word):
    releases, packages, _ = close("approved", traffic("r-old"), cause=cause)
    assert releases.get(RELEASE).status == word
    assert list(packages.statuses.values()) == [("Rejected", EVENT["reason"])] * 2


def test_after_a_promotion_was_taken_back_the_one_before_is_champion_again(close):
    releases, _, _ = close("champion", traffic("r-old"), champion_status="retired")
    assert (releases.get(RELEASE).status, releases.get("r-old").status) == ("rejected", "champion")


def test_a_champion_without_a_way_back_keeps_its_word_and_its_packages(close):
    releases, packages, answer = close("champion", traffic(RELEASE))
    assert (releases.get(RELEASE).status, packages.statuses, answer["status"]) == ("champion", {}, "champion")


def test_a_release_that_is_rejected_already_stays_so(close):
    releases, _, _ = close("rejected", traffic("r-old"), cause="operator")
    assert releases.get(RELEASE).status == "rejected"


def test_after_a_later_rollback_nothing_is_written(close):
    with pytest.raises(FencedOff):
        close("approved", traffic("r-old", fence=10))


def test_without_the_stage_the_word_is_written_all_the_same(close):
    releases, _, _ = close("approved", traffic("r-old", fence=10), fence=0)
    assert releases.get(RELEASE).status == "rejected"
