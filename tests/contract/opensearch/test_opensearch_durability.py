"""What was acknowledged outlives a kill, and a graph is built or not there; of the embedded engine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local_account.opensearch import graph as graph_module
from local_account.opensearch import service as service_module
from local_account.opensearch.service import OpenSearchService
from tests.support.search_engine import body_of, catalogue, lines, nearest
from tests.support.small_account import SmallAccount, request


def call(service: OpenSearchService, method: str, path: str, body: Any = None) -> Any:
    data = body.encode() if isinstance(body, str) else json.dumps(body or {}).encode()
    return json.loads(service.handle(request(method, "/opensearch/items" + path, data, service="es")).body)


def test_an_acknowledged_bulk_outlives_the_process_that_took_it(tmp_path: Path) -> None:
    """As after SIGKILL: nothing is stopped or flushed, and half a block lies at the log's end."""
    documents, vectors = catalogue(20)
    first = OpenSearchService(SmallAccount(tmp_path))

    call(first, "PUT", "/catalogue", body_of())
    assert not call(first, "POST", "/_bulk", lines("catalogue", documents))["errors"]
    call(first, "DELETE", "/catalogue/_doc/i0")
    (log,) = tmp_path.rglob("documents.log")
    with log.open("ab") as file:
        file.write(b"DOC1 half a block")
    second = OpenSearchService(SmallAccount(tmp_path))
    found = call(second, "POST", "/catalogue/_search", {**nearest(vectors[5], 20), "_source": ["topic"]})["hits"][
        "hits"
    ]
    assert len(found) == 19
    assert found[0]["_id"] == f"i{np.argmax(np.delete(vectors @ vectors[5], 0)) + 1}"
    assert not call(second, "POST", "/_bulk", lines("catalogue", documents[:1]))["errors"]
    third = OpenSearchService(SmallAccount(tmp_path))
    assert call(third, "GET", "/catalogue/_count")["count"] == 20


def test_a_forced_build_is_answered_while_the_one_behind_the_writes_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bulk, refresh, forcemerge as index_items does, with the build behind the writes as eager as it can be."""
    monkeypatch.setattr(graph_module, "GRAPH_FROM", 500)
    monkeypatch.setattr(service_module, "_BUILD_EVERY_S", 0.001)
    monkeypatch.setattr(service_module, "_QUIET_S", -1.0)
    documents, _ = catalogue(4000)
    service = OpenSearchService(SmallAccount(tmp_path))
    service.start()
    try:
        for round_ in range(3):
            call(service, "PUT", f"/c{round_}", body_of())
            for start in range(0, 4000, 1000):
                call(service, "POST", "/_bulk", lines(f"c{round_}", documents[start : start + 1000]))
                call(service, "POST", f"/c{round_}/_refresh")
                merged = call(service, "POST", f"/c{round_}/_forcemerge")
                assert merged == {"_shards": {"total": 1, "successful": 1, "failed": 0}}
                (graph,) = (one.graph for one in service._api("items").cluster.resolve(f"c{round_}"))
                assert graph is not None
                assert graph.size == start + 1000
    finally:
        service.stop()


BUILD = """
import json, sys, threading
from pathlib import Path
from local_account.opensearch import graph
from local_account.opensearch.index import Index
graph.GRAPH_FROM, graph._CHUNK = 500, 64
index = Index("c", json.loads(sys.argv[1]), Path(sys.argv[2]))
print("loaded", index.graph.size, flush=True)
while True:
    index.graph._kept = 0
    index.build_graph(threading.Event(), wait=True)
"""


def test_a_kill_at_any_moment_of_a_build_leaves_an_index_that_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process builds, then writes its graph over and over; it is killed in the build and in the writing."""
    monkeypatch.setattr(graph_module, "GRAPH_FROM", 500)
    documents, vectors = catalogue(3000)
    service = OpenSearchService(SmallAccount(tmp_path))
    call(service, "PUT", "/c", body_of())
    call(service, "POST", "/_bulk", lines("c", documents))
    (index,) = service._api("items").cluster.indices
    folder = next(tmp_path.rglob("documents.log")).parent
    for wait_s in (0.0, 0.05, 0.6):
        arguments = [sys.executable, "-c", BUILD, json.dumps(index.record), str(folder)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout is not None
            assert killed.stdout.readline().startswith("loaded")
            time.sleep(wait_s)
            killed.send_signal(signal.SIGKILL)
    again = OpenSearchService(SmallAccount(tmp_path))
    assert call(again, "GET", "/c/_count")["count"] == 3000
    assert not list(folder.glob("*.part"))
    assert call(again, "POST", "/c/_forcemerge")["_shards"]["failed"] == 0
    found = call(again, "POST", "/c/_search", nearest(vectors[5], 10))["hits"]["hits"]
    assert found[0]["_id"] == f"i{np.argmax(vectors @ vectors[5])}"
