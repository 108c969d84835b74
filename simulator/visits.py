"""One visit of one simulated user: ask, look, click, tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from simulator.http_client import NoAnswer, SignedApi
from simulator.tally import Tally
from simulator.tastes import COLD_PREFIX, Tastes, look, true_ndcg

if TYPE_CHECKING:
    from simulator.traffic import Options

Write = Callable[[dict[str, Any]], None]


class Visits:
    """Visits by one client to one API; every answer is counted and written down."""

    def __init__(
        self, api: SignedApi, tastes: Tastes, options: Options, tally: Tally, rng: Random, write: Write
    ) -> None:
        self._api, self._tastes, self._options = api, tastes, options
        self._tally, self._rng, self._write = tally, rng, write

    async def visit(self, number: int) -> None:
        user_id = self._tastes.visitor(self._rng)
        self._tally.asked += 1
        self._tally.cold += user_id.startswith(COLD_PREFIX)
        body = orjson.dumps({"user_id": user_id, "k": self._options.k})
        line, answer = await self._post("recommend", number, user_id, body)
        if line["status"] == 200 and answer is not None:
            release_id, items = answer["release_id"], [item["item_id"] for item in answer["items"]]
            line |= {"release_id": release_id, "degraded": answer["degraded"], "items": items}
            line["recommendation_id"] = answer["recommendation_id"]
            self._tally.answer(release_id, answer["degraded"], line["latency_ms"])
            self._write(line)
            await self._look(number, user_id, answer, items)
            return
        self._tally.errors[line.setdefault("error", f"HTTP {line['status']}")] += 1
        self._write(line)

    async def _look(self, number: int, user_id: str, answer: dict[str, Any], items: list[str]) -> None:
        likings_N = self._tastes.likings(user_id, items)
        acts = look(likings_N, self._rng)
        clicks = sum("click" in kinds for kinds in acts)
        seen = self._tally.releases[answer["release_id"]]
        seen.saw(user_id, len(items), clicks)
        seen.ndcgs.append((time.monotonic(), true_ndcg(likings_N, self._tastes.best(user_id, len(items)))))
        now = datetime.now(UTC).isoformat()
        events = [
            {"event_id": f"{place}{kind[0]}", "type": kind, "item_id": item, "position": place, "event_time": now}
            for place, (item, kinds) in enumerate(zip(items, acts, strict=True), start=1)
            for kind in kinds
        ]
        late = self._rng.random() < self._options.late_share
        twice = self._rng.random() < self._options.duplicate_share
        if late:
            self._tally.late_sent += 1
            await asyncio.sleep(self._options.late_s)
        body = {"recommendation_id": answer["recommendation_id"], "user_id": user_id}
        for first in range(0, len(events), 100):  # as many as one post may hold
            part = events[first : first + 100]
            for _ in range(1 + twice):
                await self._tell(number, user_id, answer["release_id"], {**body, "events": part})
        self._tally.duplicates_sent += twice

    async def _tell(self, number: int, user_id: str, release_id: str, body: dict[str, Any]) -> None:
        self._tally.posts += 1
        line, answer = await self._post("events", number, user_id, orjson.dumps(body))
        line["release_id"] = release_id
        if line["status"] == 202 and answer is not None:
            rejected = len(answer["rejected"])
            line |= {"accepted": answer["accepted"], "duplicates": answer.get("duplicates", 0), "rejected": rejected}
            line["clicks"] = sum(event["type"] == "click" for event in body["events"])
            self._tally.events += answer["accepted"]
            if rejected:
                line["error"] = str(answer["rejected"][0]["what"])
        if line["status"] != 202 or "error" in line:
            self._tally.feedback_errors[line.setdefault("error", f"HTTP {line['status']}")] += 1
        self._write(line)

    async def _post(
        self, what: str, number: int, user_id: str, body: bytes
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The log's line of one call, and its answer where it is a JSON object."""
        at, began, status, content, why = datetime.now(UTC), time.perf_counter(), 0, b"", None
        try:
            status, content = await self._api.post(f"/{what}", body, self._options.timeout_s)
        except TimeoutError:
            why = f"no answer within {self._options.timeout_s:g} s"
        except NoAnswer as error:
            why = str(error)
        latency_ms = round((time.perf_counter() - began) * 1000, 2)
        line: dict[str, Any] = {"at": at.isoformat(), "what": what, "visit": number, "user_id": user_id}
        line |= {"status": status, "latency_ms": latency_ms}
        answer = _read(content)
        if why is None and (answer is None or status >= 300):
            said = (answer or {}).get("error") or {}
            why = f"HTTP {status} {said.get('code', '') if isinstance(said, dict) else ''}".rstrip()
        if why is not None:
            line["error"] = why
        return line, answer


def _read(content: bytes) -> dict[str, Any] | None:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None
