"""Rehearsal without an audience: requests that the champion answered, put to the candidate as well (DESIGN §1, issue 4 part 6).

Every request is a pair, the same for both releases, so what is compared are the two answers to it: how many of the
champion's places the candidate fills with the same items, and whether and how fast each answered. Rows stand beside the
outcomes, under `shadow#<candidate>` in place of the release: `OutcomeReader.outcomes_since(["shadow#r-2"], ...)` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.shadow import ShadowCopy
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.outcomes import Fact, Row, hour_of, latency_edge
from understudy.domain.recommendation import Ask, Deadline, Kitchen, Trace
from understudy.domain.serving import first_try, own_ms


@dataclass(frozen=True, slots=True)
class Replay:
    """How the candidate did: `overlap` in [0, 1] and `latency_ms` of its own steps, or why it failed."""

    overlap: float | None
    latency_ms: float | None
    why: str | None = None


def replay(
    copy: ShadowCopy, release_of: Callable[[str, float], ReleaseRecord], kitchen: Kitchen, deadline: Deadline
) -> Replay:
    """Answer the copied request with the whole candidate release, within what a first try may take."""
    trace = Trace()

    def ask(standing: Standing, until: Deadline, on: Trace) -> Any:
        record = release_of(standing.release, until.left())
        # Captured at the endpoint under an id of its own: the request's belongs to what its user saw.
        asked = Ask(copy.request, f"{copy.request_id}-shadow", record, standing.slot, copy.user, copy.at)
        return kitchen.slate(asked, until, on)

    slate, why = first_try(ask, copy.candidate, deadline, trace)
    if why is not None:
        return Replay(None, None, why)
    return Replay(overlap(copy.items, [item["item_id"] for item in slate.items]), own_ms(trace.latency_ms))


def overlap(champion: list[str], candidate: list[str]) -> float | None:
    """Share of the champion's places whose items are in the candidate's list too; None if it chose none.

    Examples
    --------
    >>> overlap(["a", "b"], ["b", "c"])
    0.5
    """
    return len(set(champion) & set(candidate)) / len(set(champion)) if champion else None


def is_on_stage(copy: ShadowCopy, traffic: Traffic | None) -> bool:
    """Whether the candidate of the copy still stands where it stood: its slot may hold another release by now."""
    return traffic is not None and traffic.candidate == copy.candidate


def shadow_fact(copy: ShadowCopy, played: Replay) -> Fact:
    """One request, counted once however often its copy was delivered."""
    adds: dict[str, float] = {
        "requests": 1,
        f"latency_le_{latency_edge(played.latency_ms)}": 1,
        f"champion_latency_le_{latency_edge(copy.latency_ms)}": 1,
    }
    if played.latency_ms is None:
        adds["errors"] = 1
    if copy.latency_ms is None:
        adds["champion_errors"] = 1
    elif played.overlap is not None:
        adds |= {"compared": 1, "overlap_sum": round(played.overlap, 6)}
    row = Row(f"shadow#{copy.candidate.release}", copy.traffic_version, hour_of(copy.at), copy.bucket)
    return Fact((f"seen#{copy.request_id}", f"shadow#{copy.candidate.release}"), row, adds)


@dataclass(frozen=True, slots=True)
class ShadowSums:
    """What a rehearsal showed so far. `compared` are requests that both releases answered whole."""

    requests: int
    errors: int
    champion_errors: int
    compared: int
    mean_overlap: float | None
    candidate: Mapping[int, Mapping[str, float]]  # by user bucket, named as outcomes are
    champion: Mapping[int, Mapping[str, float]]


def shadow_sums(rows: Mapping[int, Mapping[str, float]]) -> ShadowSums:
    """From the rows of `shadow#<candidate>` by user bucket.

    Examples
    --------
    >>> sums = shadow_sums({7: {"requests": 2, "champion_errors": 1, "compared": 1, "overlap_sum": 0.4}})
    >>> (sums.requests, sums.mean_overlap, sums.champion)
    (2, 0.4, {7: {'requests': 2, 'errors': 1}})
    """

    def total(name: str) -> float:
        return sum(counts.get(name, 0) for counts in rows.values())

    candidate, champion = {}, {}
    for bucket, counts in rows.items():
        theirs = {name.removeprefix("champion_"): n for name, n in counts.items() if name.startswith("champion_")}
        champion[bucket] = {"requests": counts["requests"], **theirs}
        candidate[bucket] = {
            name: n for name, n in counts.items() if name in ("requests", "errors") or name.startswith("latency_le_")
        }
    compared = int(total("compared"))
    return ShadowSums(
        int(total("requests")),
        int(total("errors")),
        int(total("champion_errors")),
        compared,
        total("overlap_sum") / compared if compared else None,
        candidate,
        champion,
    )
