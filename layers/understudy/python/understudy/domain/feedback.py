"""From a client's events and the token of what it was shown to canonical events (docs/seams.md, Lake)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from understudy.contracts.serving import FeedbackEvent, as_invalid_input
from understudy.domain.tokens import Shown


@dataclass(slots=True)
class Sorted:
    """What became of each event, by its index in the request."""

    canonical: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, index: int, what: str, expected: str) -> None:
        self.rejected.append({"index": index, "what": what, "expected": expected})


def sort_events(
    events: Sequence[Mapping[str, Any]], shown: Shown, user_id: str, now: datetime, skew: timedelta
) -> Sorted:
    """Validate each event by itself against what the token knows.

    Position and propensity are the token's, never the client's. An event may be as late as the token is good, and as
    early or as far ahead as a client's clock may be off (`skew`); a time ahead of ours is taken as now, because nothing
    is known before it happened.
    """
    sorted_events, seen = Sorted(), set()
    issued = datetime.fromtimestamp(shown.issued_s, now.tzinfo)
    for index, raw in enumerate(events):
        try:
            event = FeedbackEvent.model_validate(raw)
        except ValidationError as error:
            problem = as_invalid_input(error)
            sorted_events.reject(index, problem.what, problem.expected)
            continue
        position = shown.position(event.item_id)
        if position is None:
            sorted_events.reject(index, "item_id was not in this recommendation", "an item of the answer")
        elif event.event_time > now + skew:
            sorted_events.reject(index, "event_time lies in the future", f"at most {skew.seconds} s ahead of now")
        elif event.event_time < issued - skew:
            sorted_events.reject(
                index, "event_time lies before the recommendation", f"at most {skew.seconds} s before it"
            )
        elif event.event_id in seen:
            sorted_events.duplicates += 1
        else:
            seen.add(event.event_id)
            sorted_events.canonical.append((index, canonical(event, position, shown, user_id, now)))
    return sorted_events


def canonical(event: FeedbackEvent, position: int, shown: Shown, user_id: str, now: datetime) -> dict[str, Any]:
    """One line of `feedback/`. The client's event id counts within its request: nobody can shadow another's events."""
    return {
        "event_id": f"{shown.request_id}:{event.event_id}",
        "event_time": min(event.event_time, now).astimezone(now.tzinfo).isoformat(),
        "known_at": now.isoformat(),
        "event_type": event.type,
        "user_id": user_id,
        "item_id": event.item_id,
        "position": position,
        "request_id": shown.request_id,
        "propensity": shown.propensity_at(position),
        "value": None,
        "release_id": shown.release_id,
        "assigned_release_id": shown.assigned_release_id,
        "arm": shown.arm,
        "bucket": shown.bucket,
        "traffic_version": shown.traffic_version,
    }
