"""A client of an OpenSearch engine for tests, the embedded service behind a socket, and documents to put into either."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from local_account.opensearch.service import OpenSearchService
from tests.support.small_account import request

DIMENSION = 8
NAMES = itertools.count()


class Engine:
    """A client of one engine, which takes one name after another for its indices and leaves none behind."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._base = parts.path.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self._names: list[str] = []

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        self._connection.request(method, self._base + path, data, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def index(self, documents: list[dict[str, Any]] | None = None, **mappings: Any) -> str:
        name = f"items-{os.getpid()}-{next(NAMES)}"
        self._names.append(name)
        assert self("PUT", f"/{name}", body_of(**mappings))[0] == 200
        if documents:
            status, answer = self("POST", "/_bulk", lines(name, documents))
            assert (status, answer["errors"]) == (200, False), answer
            self("POST", f"/{name}/_refresh")
        return name

    def ids(self, index: str, body: dict[str, Any]) -> list[str]:
        status, answer = self("POST", f"/{index}/_search", body)
        assert status == 200, answer
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def close(self) -> None:
        for name in self._names:
            self("DELETE", f"/{name}")
        self._connection.close()


def body_of(**mappings: Any) -> dict[str, Any]:
    method = {
        "name": "hnsw",
        "engine": "lucene",
        "space_type": "innerproduct",
        "parameters": {"m": 16, "ef_construction": 128},
    }
    properties = {
        "vector": {"type": "knn_vector", "dimension": DIMENSION, "method": method},
        "item_id": {"type": "keyword"},
        "title": {"type": "text", "index": False},
        "topic": {"type": "keyword"},
        "clicks": {"type": "float"},
    }
    settings = {"index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0}}
    return {
        "settings": settings,
        "mappings": {"dynamic": "strict", "_source": {"excludes": ["vector"]}, "properties": properties, **mappings},
    }


def lines(index: str, documents: list[dict[str, Any]], action: str = "index") -> str:
    return "".join(
        json.dumps({action: {"_index": index, "_id": document["item_id"]}}) + "\n" + json.dumps(document) + "\n"
        for document in documents
    )


def catalogue(count: int, seed: int = 0) -> tuple[list[dict[str, Any]], np.ndarray]:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    documents = [
        {
            "item_id": f"i{row}",
            "vector": vectors[row].tolist(),
            "topic": f"t{row % 5}",
            "clicks": row,
            "title": f"Item {row}",
        }
        for row in range(count)
    ]
    return documents, vectors


def nearest(vector: Any, k: int, **more: Any) -> dict[str, Any]:
    return {
        "size": k,
        "_source": False,
        "query": {"knn": {"vector": {"vector": list(map(float, vector)), "k": k, **more}}},
    }


def serve(service: OpenSearchService) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            response = service.handle(request(self.command, unquote(parts.path), body, service="es", query=query))
            self.send_response(response.status)
            self.send_header("content-length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server
