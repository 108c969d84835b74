"""The graph keeps its recall under filters, and never makes a search wait or miss a row."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from local_account.opensearch import graph as graph_module
from local_account.opensearch.graph import Graph
from local_account.opensearch.mapping import VectorField

N, D = 6000, 16


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    """Vectors around twenty topics, and the topic of each row: filters by topic lie together, as real ones do."""
    rng = np.random.default_rng(0)
    topics = rng.integers(0, 20, N)
    vectors = rng.normal(size=(20, D))[topics] + 0.7 * rng.normal(size=(N, D))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), topics


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    monkeypatch.setattr(graph_module, "GRAPH_FROM", 500)
    monkeypatch.setattr(graph_module, "_ROWS_PER_BEAM", 1)
    return Graph(VectorField("vector", D, 16, 128), tmp_path / "graph.faiss")


def recall(graph: Graph, vectors: np.ndarray, mask: np.ndarray | None, k: int = 50) -> float:
    allowed = np.arange(len(vectors)) if mask is None else np.flatnonzero(mask)
    shares = []
    for row in range(0, len(vectors), len(vectors) // 40):
        query = vectors[row]
        best = set(allowed[np.argsort(-(vectors[allowed] @ query), kind="stable")[:k]].tolist())
        rows, products = graph.search(query, k, vectors, mask)
        assert np.all(np.diff(products) <= 0)
        assert mask is None or mask[rows].all()
        shares.append(len(best & set(rows.tolist())) / len(best))
    return float(np.mean(shares))


@pytest.mark.parametrize("topics", [None, 3, 12, 19])
def test_recall_stays_above_the_gate_however_much_the_filter_keeps(
    graph: Graph, world: tuple[np.ndarray, np.ndarray], topics: int | None
) -> None:
    vectors, topic_of = world
    graph.build(vectors, threading.Event())
    assert recall(graph, vectors, None if topics is None else topic_of < topics) >= 0.98


def test_rows_the_graph_does_not_hold_yet_are_found(graph: Graph, world: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, _ = world
    graph.build(vectors[:4000], threading.Event())
    assert graph.size == 4000
    assert recall(graph, vectors, None) >= 0.98
    assert graph.search(vectors[5999], 1, vectors, None)[0][0] == 5999


def test_a_graph_is_taken_up_again_and_grown(
    graph: Graph, world: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    vectors, _ = world
    graph.build(vectors[:2000], threading.Event())
    again = Graph(VectorField("vector", D, 16, 128), tmp_path / "graph.faiss")
    again.load(len(vectors))
    assert again.size == 2000
    again.build(vectors, threading.Event())
    assert again.size == N
    assert recall(again, vectors, None) >= 0.98


def test_a_graph_of_more_rows_than_there_are_is_not_used(graph: Graph, world: tuple[np.ndarray, np.ndarray]) -> None:
    vectors, _ = world
    graph.build(vectors[:2000], threading.Event())
    other = Graph(VectorField("vector", D, 16, 128), graph._file)
    other.load(1000)
    assert other.size == 0


def test_equal_products_keep_row_order(graph: Graph) -> None:
    vectors = np.ones((30, D), np.float32)
    rows, _ = graph.search(vectors[0], 30, vectors, None)
    assert rows.tolist() == list(range(30))
