"""How often the judge catches what it must catch, and how seldom what it must not.

`judge_power` is the share of faults "errors 1 -> 5 %" that the judge has caught by 600 candidate requests, with nine champion
requests each, at the first stage's part of the errors' quarter of a budget of 1 %. The peer is the plug-in two-sample e-value at
the whole quarter, on the same requests. `python -m benchmarks.judge_power --full` prints every table of docs/decisions/judge.md
(about 8 minutes on one busy core) and writes build/judge_power.json.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import judge_faults
from benchmarks.judge_clicks import watched
from benchmarks.judge_faults import AT, MOST
from benchmarks.judge_rollouts import rollout
from benchmarks.judge_world import Effect
from understudy.domain.judge import JudgePolicy

GOAL, RUNS, LEVEL = 0.95, 2000, 0.95
POLICY = JudgePolicy()
FILE = Path("build/judge_power.json")


def measure() -> dict[str, Any]:
    caught = judge_faults.errors(1, RUNS, candidate=0.05, champion=0.01, policy=POLICY)
    by = {at: caught.by(at) for at in AT}
    slow = judge_faults.latency(2, RUNS, times=1.5, sigma=0.4, policy=POLICY).by(MOST)
    value, peer = by[MOST]["judge"] / RUNS, by[MOST]["peer"] / RUNS
    return {
        "value": value,
        "unit": "caught at 600",
        "peer": peer,
        "ratio": round(value / peer, 3),
        "goal": GOAL,
        "holds": value >= GOAL and slow["judge"] >= GOAL * RUNS and by[AT[0]]["bare"] >= 0.75 * RUNS,
        "errors": {at: {name: count / RUNS for name, count in each.items()} for at, each in by.items()},
        "p95_plus_50": slow["judge"] / RUNS,
    }


def bounds(hits: int, runs: int, level: float = LEVEL) -> tuple[float, float]:
    """One-sided lower and upper bound of a share, each at `level` (Clopper and Pearson 1934), by halving.

    Examples
    --------
    >>> [round(bound, 4) for bound in bounds(0, 2000)]
    [0.0, 0.0015]
    """
    from scipy.stats import binom

    low = _halve(lambda p: binom.sf(hits - 1, runs, p) > 1 - level) if hits else 0.0
    high = _halve(lambda p: binom.cdf(hits, runs, p) < 1 - level) if hits < runs else 1.0
    return low, high


def _halve(beyond: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high


def no_difference(runs: int = RUNS) -> dict[str, Any]:
    """A/A: whole rollouts of 200, 400 or 800 users, 18 looks each, by the judge itself."""
    fails: Counter[str] = Counter()
    for seed in range(runs):
        by, _ = rollout(seed, users=(200, 400, 800)[seed % 3], effect=Effect(), policy=POLICY)
        fails.update([by] if by else [])
    total = sum(fails.values())
    return {"runs": runs, "false_rollbacks": total / runs, "upper": bounds(total, runs)[1], "by": dict(fails)}


def faults(runs: int = RUNS) -> list[dict[str, Any]]:
    """Share caught by 300, 450, 600 candidate requests."""
    rows = []
    for low, high in ((0.01, 0.01), (0.01, 0.02), (0.01, 0.03), (0.01, 0.05), (0.002, 0.05)):
        caught = judge_faults.errors(3, runs, candidate=high, champion=low, policy=POLICY)
        rows += _rows(f"errors {low:.1%} -> {high:.1%}", caught, ("bare", "judge", "peer"), runs)
    for times, sigma in ((1.0, 0.4), (1.2, 0.4), (1.5, 0.25), (1.5, 0.4), (1.5, 0.7), (1.5, 1.0)):
        caught = judge_faults.latency(4, runs, times=times, sigma=sigma, policy=POLICY)
        rows += _rows(f"p95 x {times}, sigma {sigma}", caught, ("bare", "judge"), runs)
    return rows


def _rows(what: str, caught: judge_faults.Caught, names: tuple[str, ...], runs: int) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        hits = [caught.by(at)[name] for at in AT]
        low, high = bounds(hits[-1], runs)
        shares = {f"at {at}": hit / runs for at, hit in zip(AT, hits, strict=True)}
        rows.append({"fault": what, "by": name, **shares, "low at 600": round(low, 4), "high at 600": round(high, 4)})
    return rows


def clicks(runs: int = RUNS) -> list[dict[str, Any]]:
    """Verdict on clicks at the last gate, by relative change and users: 12 hours of about 84 impressions a user, CTR 8 %."""
    rows = []
    for users in (500, 2000, 8000):
        for change in (-0.5, -0.3, -0.2, -0.1, 0.0, 0.1):
            said = Counter(watched(seed, users, change, POLICY) for seed in range(runs))
            shares = {name: said[name] / runs for name in ("pass", "fail", "inconclusive")}
            upper = {f"{name} upper": round(bounds(said[name], runs)[1], 4) for name in ("pass", "fail")}
            rows.append({"users": users, "change": change, **shares, **upper})
    return rows


def main() -> None:
    if "--full" not in sys.argv:
        print(json.dumps(measure(), indent=1))  # noqa: T201
        return
    results: dict[str, Any] = {}
    for name, table in (("faults", faults), ("clicks", clicks), ("no_difference", no_difference)):
        results[name] = table()
        print(name, json.dumps(results[name], indent=None).replace("}, {", "},\n {"), flush=True)  # noqa: T201
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
