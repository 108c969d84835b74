"""functions/warm_up: every part of a release answers, and every part is of that release."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases
from understudy.domain.recommendation import RankerAnswer, TowerAnswer
from understudy.errors import InvalidInput, NotReady, StepFailed
from understudy.settings import WarmUpSettings


class Parts:
    """Tower, index and ranker in one: each answers for the release it was told to be of."""

    def __init__(self) -> None:
        self.tower_id, self.ranker_id, self.down, self.status = release().tower_id, release().ranker_id, "", 200
        self.items: list[dict[str, Any]] = [{"item_id": "i-1", "title": "One", "item_topic": "news"}]

    def send(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(status=self.status)

    def user_vector(self, *_: Any) -> TowerAnswer:
        if self.down:
            raise StepFailed(self.down, "HTTP 503")
        return TowerAnswer(self.tower_id, [0.0] * 64)

    def nearest(self, *_: Any) -> list[dict[str, Any]]:
        return self.items

    def scores(self, rows: str, *_: Any) -> RankerAnswer:
        return RankerAnswer(self.ranker_id, [0.5] * len(rows.splitlines()))


@pytest.fixture
def parts():
    return Parts()


@pytest.fixture
def door(parts, monkeypatch):
    module: Any = load_door("warm_up")
    settings = WarmUpSettings(
        releases_table="r", two_tower_endpoint="t", ranker_endpoint="k", opensearch_url="http://index"
    )
    monkeypatch.setattr(module, "world", lambda: module.World(settings, MemoryReleases(release()), parts, parts, parts))
    return module


def test_a_whole_release_is_warm(door):
    assert door.handler(golden("warm_up/blue"), CONTEXT) == {"release_id": release().release_id, "candidates": 1}


@pytest.mark.parametrize("part", ["tower_id", "ranker_id"])
def test_a_part_of_another_release_stops_the_rollout(door, parts, part):
    setattr(parts, part, "x" * 64)
    with pytest.raises(InvalidInput, match="x" * 64):
        door.handler(golden("warm_up/blue"), CONTEXT)


def test_a_model_that_does_not_answer_yet_is_waited_for(door, parts):
    parts.down = "understudy-two-tower"
    with pytest.raises(NotReady, match="understudy-two-tower"):
        door.handler(golden("warm_up/blue"), CONTEXT)


def test_an_index_without_items_is_not_ready(door, parts):
    parts.items = []
    with pytest.raises(NotReady):
        door.handler(golden("warm_up/blue"), CONTEXT)


@pytest.mark.parametrize(("status", "error"), [(404, InvalidInput), (503, NotReady)])
def test_an_index_that_is_gone_is_an_error_and_one_that_is_busy_is_waited_for(door, parts, status, error):
    parts.status = status
    with pytest.raises(error):
        door.handler(golden("warm_up/blue"), CONTEXT)
