"""Stage one on a holdout small enough to rank by hand; intervals; lists in served order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from evaluation import bootstrap
from evaluation.holdout import Queries, Rows
from evaluation.ranking import list_hits
from evaluation.retrieval import _best, most_popular, retrieve


def queries(pairs: list[tuple[int, int]], seen: list[tuple[int, int]], users: int) -> Queries:
    pair, history = (np.array(sorted(rows), np.int64).reshape(-1, 2) for rows in (pairs, seen))
    return Queries([{}] * users, pair[:, 0], pair[:, 1], history[:, 0], history[:, 1], np.zeros(users, bool))


def test_the_nearest_items_without_history_best_first():
    items = np.array([[1.0], [3.0], [2.0], [-1.0]], np.float32)
    asked = queries([(0, 2), (0, 3), (1, 0)], [(0, 1)], users=2)
    found = retrieve(np.array([[1.0], [-1.0]], np.float32), items, asked)
    assert found.top_UK[0, :3].tolist() == [2, 0, 3]  # item 1 is history, and comes last
    assert found.top_UK[1].tolist() == [3, 0, 2, 1]
    assert found.rank_P.tolist() == [0, 2, 1]
    assert found.per_user(asked)["recall_at_10"].tolist() == [1, 1]


def test_an_item_without_a_vector_can_never_be_found():
    asked = queries([(0, -1), (0, 0)], [], users=1)
    found = retrieve(np.ones((1, 1), np.float32), np.ones((2, 1), np.float32), asked)
    assert found.per_user(asked)["recall_at_100"].tolist() == [0.5]


@pytest.mark.parametrize("places", [1, 3, 7, 20])
def test_ties_keep_item_order_at_every_cut(places):
    scores = np.random.default_rng(0).integers(0, 4, (50, 20)).astype(np.float32)
    np.testing.assert_array_equal(_best(scores, places), np.argsort(-scores, axis=1, kind="stable")[:, :places])


def test_popularity_recommends_the_same_to_all_but_history():
    asked = queries([(0, 0), (1, 0)], [(1, 1)], users=2)
    found = most_popular(np.array([5.0, 9.0, 1.0]), asked)
    assert found.top_UK.tolist() == [[1, 0, 2], [0, 2, 1]]


def test_a_choice_of_pairs_leaves_out_users_who_have_none_of_them():
    asked = queries([(0, 0), (0, 1), (1, 1)], [], users=2)
    found = retrieve(np.ones((2, 1), np.float32), np.array([[2.0], [1.0]], np.float32), asked)
    measured = found.per_user(asked, chosen=np.array([True, False, False]))
    assert measured["user"].tolist() == [0]
    assert measured["recall_at_10"].tolist() == [1]


def test_lists_are_reordered_by_score_and_ties_stay_as_they_were_logged():
    labels = np.array([0, 1, 0, 1, 0, 1, 1.0])
    rows = Rows(pa.table({}), labels, np.array([0, 0, 0, 1, 1, 2, 3]), np.array([0, 0, 0, 1, 1, 2, 3]))
    hits, relevant, user = list_hits(rows, np.array([0.1, 0.9, 0.5, 0.3, 0.3, 0.9, 0.2]))
    assert user.tolist() == [0, 1]  # users 2 and 3 saw one item each: there is no order to judge
    assert relevant.tolist() == [1, 1]
    assert hits[:, :3].tolist() == [[True, False, False], [True, False, False]]


def test_an_interval_resamples_users_and_holds_a_known_mean():
    rng = np.random.default_rng(5)
    per_user = rng.normal(0.3, 1, 400)
    users = np.repeat(np.arange(400), 25)  # 25 equal rows a user: as good as one
    found = bootstrap.interval(bootstrap.mean_statistic(per_user[users]), users)
    expected = 1.96 * per_user.std() / 20
    assert found.low < found.value < found.high
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.25)
    assert found == bootstrap.interval(bootstrap.mean_statistic(per_user[users]), users)


def test_a_paired_difference_of_equals_is_exactly_zero():
    values = np.random.default_rng(0).random(50)
    found = bootstrap.interval(bootstrap.mean_statistic(values - values), np.arange(50))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_figure_that_most_resamples_lack_has_no_bounds():
    found = bootstrap.interval(lambda weights: 1.0 if (weights == 1).all() else float("nan"), np.arange(30))
    assert np.isnan([found.low, found.high]).all()
