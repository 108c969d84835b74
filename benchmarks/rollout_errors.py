"""Errors that users see while releases come and go, and requests whose user vector met another release's index: none of both.

At least 10,000 requests through the HTTP API of a deployed local account while one release goes through 10 %, 50 % and 100 %
and the next one is aborted at 50 %. Stages follow on an operator's wish once enough users have asked; the judge looks on.
Every request is traced through the logs of both sides: the visitor's own (the answer, whose titles name the index that they
lie in), the endpoints' capture (which tower made its user's vector, which ranker its scores) and the served-list record.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.stage_visitors import Visitors, bring, candidate_at, small_stack, wait_for
from cli.rollout_commands import begin_rollback
from cli.rollout_runs import execution
from cli.rollout_wishes import put_wish
from cli.site import Site
from cli.stage import read_releases, read_traffic

RATE = 40.0  # requests a second
REQUESTS = 10_000
RELEASES = ("r-0", "r-1", "r-2")  # serves first, is promoted, is aborted
# Answers since the beginning by which each stage ends.
ALONE, TENTH, HALF, WATCHED, SECOND_TENTH, SECOND_HALF = 400, 2400, 5000, 7400, 8600, REQUESTS
AFTER_S = 5.0
LOGS_S = 20.0  # a delivery stream keeps records for 10 s, an endpoint its captures for 3
PATIENCE_S = 1200.0
PARAMETERS = {"BakeSeconds": "3600", "LookSeconds": "1", "DrainSeconds": "3"}


@dataclass
class Traces:
    """What the logs of the account say of each request: releases by request id."""

    two_tower: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ranker: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    served: dict[str, dict[str, Any]] = field(default_factory=dict)


def measure() -> dict[str, Any]:
    with small_stack(RELEASES[0], **PARAMETERS) as site:
        began = time.monotonic()
        with Visitors(site, RATE) as visitors:
            _come_and_go(site, visitors)
        seconds = time.monotonic() - began
        time.sleep(LOGS_S)
        found = _examine(visitors, _traces(site))
    wrong = found["client_errors"] + found["mixed"] + found["untraced"]
    return {
        "value": wrong,
        "unit": "requests",
        "peer": None,
        "ratio": None,
        "goal": 0,
        "holds": wrong == 0 and found["requests"] >= REQUESTS and all(found["by_release"].get(r) for r in RELEASES),
        "requests_per_s": round(found["requests"] / seconds, 1),
        **found,
    }


def _come_and_go(site: Site, visitors: Visitors) -> None:
    def asked(answers: int) -> None:
        wait_for(lambda: len(visitors.answers) >= answers, PATIENCE_S)
        print(f"{answers:6} answers, traffic {_shown(site)}", flush=True)  # noqa: T201

    asked(ALONE)
    for release_id, stages in ((RELEASES[1], (TENTH, HALF)), (RELEASES[2], (SECOND_TENTH, SECOND_HALF))):
        bring(site, release_id)
        for share_bp, answers in zip((1000, 5000), stages, strict=True):
            traffic = wait_for(partial(_at, site, release_id, share_bp))
            asked(answers)
            if answers != SECOND_HALF:
                put_wish(site, release_id, "promote", "a benchmark", traffic["version"])
        if release_id == RELEASES[1]:
            traffic = wait_for(partial(_promoted, site, release_id))
            asked(WATCHED)
            put_wish(site, release_id, "promote", "a benchmark", traffic["version"])
            wait_for(lambda: (read_traffic(site) or {})["previous"] is None)
    begin_rollback(site, RELEASES[2], RELEASES[2], reason="a benchmark")
    wait_for(lambda: not candidate_at(site, RELEASES[2]))
    time.sleep(AFTER_S)


def _at(site: Site, release_id: str, share_bp: int) -> dict[str, Any] | None:
    _goes_on(site, release_id)
    return candidate_at(site, release_id, share_bp)


def _goes_on(site: Site, release_id: str) -> None:
    """SystemExit when the judge took it down, as it may on a machine that is too busy for the load: nothing is measured then."""
    run = execution(site, release_id)
    if run is not None and run["status"] not in ("RUNNING", "SUCCEEDED"):
        raise SystemExit(f"{release_id} was taken down: {run.get('cause')}")


def _promoted(site: Site, release_id: str) -> dict[str, Any] | None:
    _goes_on(site, release_id)
    traffic = read_traffic(site) or {}
    return traffic if traffic["champion"]["release"] == release_id else None


def _shown(site: Site) -> str:
    traffic = read_traffic(site) or {}
    names = (f"{part} {traffic[part]['release']}" for part in ("champion", "candidate", "previous") if traffic[part])
    return f"{', '.join(names)}, share {traffic['share_bp']} bp"


def _traces(site: Site) -> Traces:
    """Captures and served-list records, by the ids that the containers and the function wrote themselves."""
    records, traces = read_releases(site), Traces()
    owner = {record[key]: record["release_id"] for record in records for key in ("tower_id", "ranker_id")}
    for endpoint, key, kept in (
        ("two-tower", "tower_id", traces.two_tower),
        ("ranker", "ranker_id", traces.ranker),
    ):
        for line in _lines(site, f"capture/{site.stack}-{endpoint}/"):
            answer = line["captureData"]["endpointOutput"]["data"]
            kept[str(line["eventMetadata"].get("inferenceId"))].add(owner[json.loads(answer)[key]])
    for line in _lines(site, "served/"):
        traces.served[line["request_id"]] = line
    return traces


def _lines(site: Site, prefix: str) -> Iterator[dict[str, Any]]:
    s3, bucket = site.client("s3"), site.outputs["LakeBucket"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for row in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read()
            text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            yield from (json.loads(line) for line in text.splitlines() if line)


def _examine(visitors: Visitors, traces: Traces) -> dict[str, Any]:
    """Every answer held against the account's logs.

    `mixed`: an answer named one release and lies in another's index, or its vector or scores were made by another's models.
    `untraced`: a full answer of which the logs do not know who made it, so that nothing is proved. An answer without recall or
    ranker (degraded) has no vector or scores that could be another's.
    """
    counts, answered = Counter[str](), Counter[str]()
    for answer in visitors.answers:
        if answer.status != 200:
            counts["client_errors"] += 1
            continue
        answered[answer.release] += 1
        counts["degraded"] += bool(answer.said["degraded"])
        request_id = _request_id(answer.said["recommendation_id"])
        record = traces.served.get(request_id)
        if record is None:
            counts["untraced"] += 1
            continue
        counts["served_by_champion_instead"] += record["assigned_release_id"] != record["release_id"]
        recalled = not {"user_tower", "index"}.intersection(answer.said["degraded"])
        ranked = recalled and "ranker" not in answer.said["degraded"]
        counts[_judged(answer.said, record, traces, request_id, recalled, ranked)] += 1
    names = ("client_errors", "mixed", "untraced", "degraded", "served_by_champion_instead")
    return {
        "requests": len(visitors.answers),
        **{name: counts[name] for name in names},
        "by_release": dict(answered),
    }


def _judged(
    said: dict[str, Any], record: dict[str, Any], traces: Traces, request_id: str, recalled: bool, ranked: bool
) -> str:
    release = said["release_id"]
    indices = {str(item["title"]).rpartition(" of items-")[2] for item in said["items"]} if recalled else {release}
    if (recalled and not traces.two_tower.get(request_id)) or (ranked and not traces.ranker.get(request_id)):
        return "untraced"
    towers = traces.two_tower[request_id] if recalled else {release}
    rankers = traces.ranker[request_id] if ranked else {release}
    # A request that is asked again whole of the champion has met both; who answers must be among them.
    met = {release, record["assigned_release_id"]}
    whole = indices == {release} == {record["release_id"]} and release in towers & rankers and towers | rankers <= met
    return "whole" if whole else "mixed"


def _request_id(token: str) -> str:
    """The token is signed, not hidden: its payload is a list, the request's id its second place."""
    payload = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))[1])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))  # noqa: T201
