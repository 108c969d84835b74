"""How fast 100,000 documents of 64 numbers and ten features go into the item index, and what a search of them finds.

Documents go over HTTP in chunks of 2,000 by one client, through the front door with its signature check; then refresh and
`_forcemerge`, as index_items does, all in the rate. Then: recall@100 without a filter and with one that keeps 15 %,
latency of k = 200 with `_source`. The peer is a real OpenSearch, where OPENSEARCH_URL names one.
`python -m benchmarks.indexing --million` shows memory at a million documents, in place of the peer.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

GOAL = 10_000  # documents/s
GOAL_RECALL = 0.98
GOAL_GIB = 2.0
COUNT, DIMENSION, CHUNK, TOPICS = 100_000, 64, 2_000, 20
KEPT = 3  # topics of 20 that the filter keeps: 15 %
FIELDS = [f"item_feature_{number}" for number in range(9)]
INDEX = "items-benchmark"


class Catalogue:
    """Vectors around topics, as a two-tower model's are; the filter keeps whole topics, which is its hard case."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        self.topics = rng.integers(0, TOPICS, count)
        centres = rng.normal(size=(TOPICS, DIMENSION))
        self.vectors = _unit(centres[self.topics] + rng.normal(size=(count, DIMENSION)))
        self.queries = _unit(centres[rng.integers(0, TOPICS, 200)] + rng.normal(size=(200, DIMENSION)))
        self.features = rng.random((count, len(FIELDS))).round(4)

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self.vectors), CHUNK):
            rows = range(start, min(start + CHUNK, len(self.vectors)))
            yield b"".join(line for row in rows for line in self._lines(row))

    def _lines(self, row: int) -> tuple[bytes, bytes]:
        document = {"vector": self.vectors[row], "item_id": f"i{row}", "item_topic": f"t{self.topics[row]}"}
        document |= dict(zip(FIELDS, self.features[row].tolist(), strict=True))
        action = b'{"index":{"_index":"%b","_id":"i%d"}}\n' % (INDEX.encode(), row)
        return action, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"

    def best(self, query: np.ndarray, k: int, filtered: bool) -> set[str]:
        rows = np.flatnonzero(self.topics < KEPT) if filtered else np.arange(len(self.topics))
        return {f"i{row}" for row in rows[np.argsort(-(self.vectors[rows] @ query))[:k]]}


class Client:
    """Plain HTTP with connections kept; signed where keys are given."""

    def __init__(self, url: str, keys: Credentials | None) -> None:
        self._url, self._keys = url, keys
        self._pool = urllib3.PoolManager(maxsize=1)

    def __call__(self, method: str, path: str, body: bytes = b"") -> Any:
        headers = {"content-type": "application/json"}
        url = self._url + path
        if self._keys is not None:
            signed = AWSRequest(method=method, url=url, data=body, headers=headers)
            SigV4Auth(self._keys, "es", "us-east-1").add_auth(signed)
            headers = dict(signed.headers)
        answer = self._pool.request(method, url, body=body, headers=headers, timeout=3600)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.data[:300]!r}")
        return orjson.loads(answer.data) if answer.data else None


def measure() -> dict[str, Any]:
    """Index and search on the embedded engine, then on a real one if there is one."""
    catalogue = Catalogue(COUNT)
    with tempfile.TemporaryDirectory() as folder:
        ours = _on_embedded(Path(folder), catalogue)
    url = os.environ.get("OPENSEARCH_URL")
    peer = _run(Client(url, None), catalogue) if url else None
    columns = (
        "documents_per_s",
        "written_per_s",
        "graph_s",
        "recall",
        "recall_filtered",
        "p50_ms",
        "p99_ms",
        "took_p50_ms",
    )
    print(f"{'':10}" + "".join(f"{name:>17}" for name in columns))  # noqa: T201 - the benchmark's table
    for name, row in (("embedded", ours), ("real", peer)):
        if row is not None:
            print(f"{name:10}" + "".join(f"{row[column]:17.3f}" for column in columns))  # noqa: T201
    value = round(ours["documents_per_s"])
    beside = round(peer["documents_per_s"]) if peer else None
    return {
        "value": value,
        "unit": "documents/s",
        "peer": beside,
        "ratio": round(value / beside, 2) if beside else None,
        "goal": GOAL,
        "holds": value >= GOAL and min(ours["recall"], ours["recall_filtered"]) >= GOAL_RECALL,
    }


def million() -> dict[str, Any]:
    """Most resident memory that the account's process ever had: a million documents indexed, in their graph, searched."""
    with tempfile.TemporaryDirectory() as folder:
        row = _on_embedded(Path(folder), Catalogue(1_000_000))
    print(row)  # noqa: T201
    gib = round(row["peak_gib"], 2)
    return {"value": gib, "unit": "GiB", "peer": None, "ratio": None, "goal": GOAL_GIB, "holds": gib <= GOAL_GIB}


def _on_embedded(folder: Path, catalogue: Catalogue) -> dict[str, float]:
    from local_account import lifecycle
    from local_account.front_door.identities import Identities

    endpoint = lifecycle.up(folder)
    try:
        operator = Identities(folder).operator
        keys = Credentials(operator.access_key_id, operator.secret_access_key)
        row = _run(Client(f"{endpoint.url}/opensearch/benchmark", keys), catalogue)
        row["peak_gib"] = _peak_gib(endpoint.pid)
        return row
    finally:
        lifecycle.down(folder)


def _peak_gib(pid: int) -> float:
    """VmHWM, as the kernel kept it; mapped files that are in memory count."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 2**20


def _run(client: Client, catalogue: Catalogue) -> dict[str, float]:
    client("PUT", f"/{INDEX}", _index_body())
    try:
        spent = 0.0
        for chunk in catalogue.chunks():
            began = time.perf_counter()
            answer = client("POST", "/_bulk", chunk)
            spent += time.perf_counter() - began
            if answer["errors"]:
                raise RuntimeError(f"a document was refused: {answer['items'][0]}")
        began = time.perf_counter()
        client("POST", f"/{INDEX}/_refresh")
        spent += time.perf_counter() - began
        began = time.perf_counter()
        client("POST", f"/{INDEX}/_forcemerge?max_num_segments=1")
        graph_s = time.perf_counter() - began
        count = len(catalogue.vectors)
        rates = {"documents_per_s": count / (spent + graph_s), "written_per_s": count / spent, "graph_s": graph_s}
        return {**rates, **_search(client, catalogue)}
    finally:
        client("DELETE", f"/{INDEX}")


def _search(client: Client, catalogue: Catalogue) -> dict[str, float]:
    shares: dict[bool, list[float]] = {False: [], True: []}
    for query, filtered in itertools.product(catalogue.queries[:100], (False, True)):
        answer = client("POST", f"/{INDEX}/_search", _query(query, 100, filtered, source=False))
        found = {hit["_id"] for hit in answer["hits"]["hits"]}
        shares[filtered].append(len(found & catalogue.best(query, 100, filtered)) / 100)
    took, inside = [], []
    for query in catalogue.queries:
        body = _query(query, 200, filtered=False, source=True)
        began = time.perf_counter()
        answer = client("POST", f"/{INDEX}/_search", body)
        took.append((time.perf_counter() - began) * 1000)
        inside.append(answer["took"])
    return {
        "recall": float(np.mean(shares[False])),
        "recall_filtered": float(np.mean(shares[True])),
        "p50_ms": float(np.percentile(took, 50)),
        "p99_ms": float(np.percentile(took, 99)),
        "took_p50_ms": float(np.percentile(inside, 50)),
    }


def _query(vector: np.ndarray, k: int, filtered: bool, source: bool) -> bytes:
    knn: dict[str, Any] = {"vector": vector.tolist(), "k": k}
    if filtered:
        knn["filter"] = {"terms": {"item_topic": [f"t{topic}" for topic in range(KEPT)]}}
    wanted = ["item_id", "item_topic", *FIELDS] if source else False
    return orjson.dumps({"size": k, "_source": wanted, "query": {"knn": {"vector": knn}}})


def _index_body() -> bytes:
    parameters = {"m": 16, "ef_construction": 128}
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct", "parameters": parameters}
    properties: dict[str, Any] = {
        "vector": {"type": "knn_vector", "dimension": DIMENSION, "method": method},
        "item_id": {"type": "keyword"},
        "item_topic": {"type": "keyword"},
        **{name: {"type": "float"} for name in FIELDS},
    }
    mappings = {"dynamic": "strict", "_source": {"excludes": ["vector"]}, "properties": properties}
    settings = {"index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0}}
    return orjson.dumps({"settings": settings, "mappings": mappings})


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


if __name__ == "__main__":
    print(million() if "--million" in sys.argv else measure())  # noqa: T201
