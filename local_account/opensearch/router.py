"""Which call of OpenSearch's REST interface a request is. The calls register themselves from the modules `*_calls`."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import orjson

from local_account.opensearch.cluster import Cluster
from local_account.opensearch.errors import EngineError, failure, invalid_index_name

JSON = "application/json; charset=UTF-8"
SHARDS = {"total": 1, "successful": 1, "failed": 0}

Answer = tuple[int, bytes]
Handler = Callable[["Api", dict[str, str], dict[str, str], bytes], Any]
_ROUTES: list[tuple[frozenset[str], re.Pattern[str], Handler]] = []


def route(methods: str, *addresses: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for address in addresses:
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", address)
            _ROUTES.append((frozenset(methods.split()), re.compile(pattern), handler))
        return handler

    return register


class Api:
    """One domain, as its clients speak to it."""

    def __init__(self, cluster: Cluster, name: str, stopping: threading.Event) -> None:
        self.cluster, self.name, self.stopping = cluster, name, stopping

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Status and body; errors in the engine's own words."""
        path = path.rstrip("/") or "/"
        known = False
        for methods, pattern, handler in _ROUTES:
            if (found := pattern.fullmatch(path)) is None:
                continue
            known = True
            if method in methods:
                try:
                    result = handler(self, found.groupdict(), query, body)
                except EngineError as error:
                    return error.status, orjson.dumps(error.body)
                status, content = result if isinstance(result, tuple) else (200, result)
                return status, content if isinstance(content, bytes) else orjson.dumps(content)
        if known:
            told = f"Incorrect HTTP method for uri [{path}] and method [{method}]"
            return 405, orjson.dumps({"error": told, "status": 405})
        if path.count("/") == 1 and path.startswith("/_"):
            refused = invalid_index_name(path[1:], "must not start with '_'.")
            return refused.status, orjson.dumps(refused.body)
        return 400, orjson.dumps({"error": f"no handler found for uri [{path}] and method [{method}]"})


def read_json(body: bytes) -> dict[str, Any]:
    try:
        read = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise failure("json_parse_exception", str(error)) from None
    if not isinstance(read, dict):
        raise failure("parse_exception", "the body is no JSON object")
    return read
