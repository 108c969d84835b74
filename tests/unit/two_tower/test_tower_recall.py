from __future__ import annotations

import numpy as np
import pytest

from two_tower.data import Validation
from two_tower.recall import baselines, recall_metrics


def validation(relevant: list[list[int]], seen: list[list[int]]) -> Validation:
    return Validation({}, [np.array(ids) for ids in relevant], [np.array(ids, dtype=int) for ids in seen])


def test_recall_is_the_share_of_relevant_items_in_the_first_places_and_seen_items_take_none() -> None:
    scores = -np.arange(200.0)  # item 0 first
    split = validation([[3, 60, 150]], [[0, 1]])
    found = recall_metrics(lambda chunk: np.tile(scores, (chunk.stop - chunk.start, 1)), split)
    assert found["recall_at_10"] == pytest.approx(1 / 3)
    assert found["recall_at_50"] == pytest.approx(1 / 3)  # without the two seen, item 60 would stand at 61
    assert found["recall_at_100"] == pytest.approx(2 / 3)
    ideal = sum(1 / np.log2(place + 2) for place in range(3))
    assert found["ndcg_at_10"] == pytest.approx((1 / np.log2(1 + 2)) / ideal)


def test_a_catalogue_smaller_than_the_list_is_found_whole() -> None:
    found = recall_metrics(lambda chunk: np.zeros((chunk.stop - chunk.start, 4)), validation([[1]], [[]]))
    assert found["recall_at_10"] == 1


def test_popularity_beats_a_shuffle_where_everybody_chooses_the_same() -> None:
    counts = np.zeros(500)
    counts[:5] = 9
    found = baselines(counts, validation([[0, 1]] * 40, [[]] * 40), seed=0)
    assert found["popularity"]["recall_at_10"] == 1
    assert found["random"]["recall_at_10"] < 0.2
