"""What a user in the shadow waits longer: `recommend` leaves a copy of the request on a queue (docs/decisions/serving-shadow.md).

A candidate rehearses for half of the users on a deployed local account. Users in the shadow and users outside it ask in
turns, one at a time, so that both meet the same machine; the copies are replayed meanwhile, as in life. Beside it: one
SendMessage over the same wire, from this process.
"""

from __future__ import annotations

import json
import time
from itertools import islice
from statistics import median
from typing import Any

from benchmarks.stage_visitors import bring, candidate_at, small_stack, wait_for
from cli.site import Site
from understudy.adapters.aws_shadow import ShadowQueue
from understudy.adapters.aws_wire import SignedHttp
from understudy.domain.traffic import bucket_of

ROUNDS, WARM_UP = 300, 30
SHADOW_BP = 5000
SMALL, LARGE = 1_000, 9_000  # bytes of a copy: of the small stack's requests, and of one with many features and items
KNOWN_AFTER_S = 2.5  # the recommender's memory of traffic is 2 s
PARAMETERS = {"ShadowSeconds": "3600", "ShadowBp": str(SHADOW_BP), "BakeSeconds": "3600", "DrainSeconds": "3"}


def measure() -> dict[str, Any]:
    """Medians, and the median of the differences of each pair."""
    with small_stack("r-0", **PARAMETERS) as site:
        bring(site, "r-1")
        traffic = wait_for(lambda: candidate_at(site, "r-1"))
        time.sleep(KNOWN_AFTER_S)
        users = [f"u{number}" for number in range(4 * (ROUNDS + WARM_UP))]
        inside = [user for user in users if bucket_of(traffic["salt"], user) < SHADOW_BP]
        outside = [user for user in users if bucket_of(traffic["salt"], user) >= SHADOW_BP]
        pairs = [
            (_ask(site, one), _ask(site, other))
            for one, other in islice(zip(inside, outside, strict=False), ROUNDS + WARM_UP)
        ]
        bare = {f"bare SendMessage of {size} bytes": round(_bare(site, size), 2) for size in (SMALL, LARGE)}
    warm = pairs[WARM_UP:]
    shadowed, plain = median(one for one, _ in warm), median(other for _, other in warm)
    more = median(one - other for one, other in warm)
    return {
        "value": round(more, 2),
        "unit": "ms",
        "peer": bare,
        "ratio": None,
        "goal": None,
        "holds": True,
        "answer_ms": {"in the shadow": round(shadowed, 2), "outside": round(plain, 2)},
        "pairs": len(warm),
    }


def _ask(site: Site, user: str) -> float:
    """Milliseconds of one answer, as a client sees them."""
    began = time.perf_counter()
    status, said = site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/recommend", {"user_id": user, "k": 10})
    took = (time.perf_counter() - began) * 1000
    if status != 200:
        raise SystemExit(f"recommend answered {status}: {said}")
    return took


def _bare(site: Site, size: int) -> float:
    """Median milliseconds of a copy sent by the adapter itself, on a queue of its own."""
    sqs = site.client("sqs")
    url = sqs.create_queue(QueueName="shadow-copy-benchmark")["QueueUrl"]
    queue, times = ShadowQueue(SignedHttp(), url), []
    for _ in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        queue.put({"copy": "x" * size}, 1.0)
        times.append((time.perf_counter() - began) * 1000)
    return median(times[WARM_UP:])


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))  # noqa: T201
