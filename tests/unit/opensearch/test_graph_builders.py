"""One builder at a time, whoever asks; what a kill leaves on disk is an index that loads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from local_account.opensearch import graph as graph_module
from local_account.opensearch.index import Index
from local_account.opensearch.operations import Operation

N, D = 3000, 8
RECORD = {
    "uuid": "u",
    "settings": {"number_of_replicas": "0"},
    "mappings": {
        "properties": {
            "vector": {
                "type": "knn_vector",
                "dimension": D,
                "method": {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct", "parameters": {"m": 8}},
            }
        }
    },
}
VECTORS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
NEVER = threading.Event()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setattr(graph_module, "GRAPH_FROM", 500)
    monkeypatch.setattr(graph_module, "_ROWS_PER_BEAM", 1)
    made = Index("items", RECORD, tmp_path)
    write(made, 0, N)
    return made


def write(index: Index, start: int, end: int) -> None:
    index.apply([Operation("index", f"i{row}", {"vector": VECTORS[row].tolist()}, b"{}") for row in range(start, end)])
    index.refresh()


def nearest(index: Index, row: int) -> int:
    assert index.graph is not None
    return int(index.graph.search(VECTORS[row], 1, VECTORS[: index.view.n], None)[0][0])


def size(index: Index) -> int:
    return 0 if index.graph is None else index.graph.size


def test_builders_that_come_together_build_one_graph_and_none_of_them_fails(index: Index) -> None:
    """As the background build and `_forcemerge` did, which renamed the same file."""
    start = threading.Barrier(8)

    def build(number: int) -> None:
        start.wait()
        index.build_graph(NEVER, wait=number % 2 == 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(build, range(8)))
    assert size(index) == N
    assert faiss.read_index(str(index.graph._file)).ntotal == N  # type: ignore[union-attr]


def test_a_forced_build_joins_the_one_behind_the_writes_and_adds_what_that_one_did_not_know_of(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    add = faiss.IndexHNSWFlat.add

    def held_add(self: faiss.IndexHNSWFlat, rows: np.ndarray) -> None:
        at_work.set()
        assert go_on.wait(10)
        add(self, rows)

    monkeypatch.setattr(faiss.IndexHNSWFlat, "add", held_add)
    write(index, 0, 10)
    behind = threading.Thread(target=index.build_graph, args=(NEVER,))
    behind.start()
    assert at_work.wait(10)
    write(index, 10, 20)
    forced = threading.Thread(target=index.build_graph, args=(NEVER,), kwargs={"wait": True})
    forced.start()
    index.build_graph(NEVER)  # a third, for which nobody waits, leaves them the work and returns at once
    assert forced.is_alive()
    go_on.set()
    forced.join(10)
    behind.join(10)
    assert size(index) == index.view.n == N + 20
    assert faiss.read_index(str(index.graph._file)).ntotal == N + 20  # type: ignore[union-attr]


def test_an_index_that_is_closed_ends_its_builder_and_takes_no_other(index: Index, tmp_path: Path) -> None:
    builder = threading.Thread(target=index.build_graph, args=(NEVER,))
    builder.start()
    index.close()
    for file in tmp_path.iterdir():
        file.unlink()
    index.build_graph(NEVER, wait=True)
    builder.join(10)
    assert not builder.is_alive()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_half_a_graph_file_is_thrown_away_and_built_again(index: Index, tmp_path: Path, share: float) -> None:
    index.build_graph(NEVER)
    index.close()
    whole = (tmp_path / "graph.faiss").read_bytes()
    half = whole[: int(len(whole) * share)]
    (tmp_path / "graph.faiss").write_bytes(half)
    (tmp_path / "graph.part").write_bytes(half)
    again = Index("items", RECORD, tmp_path)
    assert (again.view.n, size(again)) == (N, 0)
    assert nearest(again, 7) == int(np.argmax(VECTORS @ VECTORS[7]))
    again.build_graph(NEVER)
    assert size(again) == N
    assert sorted(file.name for file in tmp_path.iterdir()) == ["documents.log", "graph.faiss", "vectors.f32"]


def test_a_graph_of_rows_that_were_lost_never_comes_back(index: Index, tmp_path: Path) -> None:
    """A log cut shorter than its graph: the graph's rows are other documents' once more were written."""
    index.build_graph(NEVER)
    index.close()
    (tmp_path / "documents.log").write_bytes(b"")
    cut = Index("items", RECORD, tmp_path)
    assert (cut.view.n, size(cut)) == (0, 0)
    write(cut, 0, N)
    cut.close()
    assert size(Index("items", RECORD, tmp_path)) == 0
