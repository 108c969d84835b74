"""OpenSearch's REST calls, signed SigV4 for `es` where there are credentials; no client library, so no wheel to bring.

botocore and its urllib3 are in every SageMaker image.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import botocore.session
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

PASSING = frozenset({429, 502, 503, 504})
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class OpenSearchError(Exception):
    """The engine refused a call, or could not be reached; the text says which and why."""

    def __init__(self, call: str, status: int, reason: str) -> None:
        super().__init__(f"OpenSearch: {call} answered {status or 'nothing'}: {reason[:300]}")
        self.status = status


class OpenSearch:
    """One engine by its URL. Safe to share between threads.

    Parameters
    ----------
    url : str
        `https://…` of a domain, or the local account's `…/opensearch/<domain>`.
    region : str
        Region of the signature.
    timeout_s : float
        Of one call; merging and warming up take minutes on large indices.
    attempts : int
        Of a call that the engine was too busy for, or that found no connection; growing pauses with full jitter.
    """

    def __init__(
        self,
        url: str,
        region: str,
        *,
        timeout_s: float = 600.0,
        attempts: int = 8,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._region, self._attempts, self._sleep = url.rstrip("/"), region, attempts, sleep
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=urllib3.Timeout(connect=5, read=timeout_s))
        self._credentials = botocore.session.get_session().get_credentials()
        self._rng = random.SystemRandom()

    def call(self, method: str, path: str, body: Any = None, *, missing_ok: bool = False) -> dict[str, Any]:
        """Answer as JSON; {} for a 404 that is allowed.

        Raises
        ------
        OpenSearchError
            For every other status that is not 2xx, once the attempts are used up where it was a passing one.
        """
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        name = f"{method} {path.partition('?')[0]}"
        status, content = 0, b"no connection"
        for attempt in range(self._attempts):
            try:
                status, content = self._send(method, path, raw, ndjson=isinstance(body, bytes))
            except urllib3.exceptions.HTTPError as error:
                status, content = 0, f"{type(error).__name__}: {error}".encode()
            if status and status not in PASSING:
                break
            if attempt + 1 < self._attempts:
                self.pause(attempt)
        if status == 404 and missing_ok:
            return {}
        if not 200 <= status < 300:
            raise OpenSearchError(name, status, content.decode("utf-8", "replace"))
        return json.loads(content or b"{}")

    def pause(self, attempt: int) -> None:
        """Growing pause with full jitter, so that many writers do not come back at once."""
        self._sleep(min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S) * self._rng.random())

    def _send(self, method: str, path: str, raw: bytes, *, ndjson: bool) -> tuple[int, bytes]:
        url = self._url + path
        headers: Mapping[str, str] = {"content-type": "application/x-ndjson" if ndjson else "application/json"}
        if self._credentials is not None:
            request = AWSRequest(method, url, headers=dict(headers), data=raw)
            SigV4Auth(self._credentials.get_frozen_credentials(), "es", self._region).add_auth(request)
            headers = dict(request.headers.items())
        answer = self._pool.request(method, url, body=raw, headers=headers)
        return answer.status, answer.data
