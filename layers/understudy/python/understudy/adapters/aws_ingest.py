"""The world of `ingest_events`: the token's key and the feedback stream."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from understudy.adapters.aws_serving import Firehose, SecretKey
from understudy.adapters.aws_wire import SignedHttp
from understudy.contracts.serving import EventsRequest
from understudy.domain.feedback import Sorted, sort_events
from understudy.domain.tokens import TokenRefused, verify
from understudy.errors import InvalidInput, StepFailed
from understudy.observability import count
from understudy.settings import IngestEventsSettings

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.8


@dataclass(frozen=True, slots=True)
class IngestWorld:
    settings: IngestEventsSettings
    key: SecretKey
    feedback: Firehose
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.SystemRandom)

    def take(self, request: EventsRequest) -> Sorted:
        """Sort the events and put the good ones on the stream; what the stream would not take is among the rejected.

        Raises
        ------
        InvalidInput
            403 `token_refused`; the reason is counted, the client learns no more than that.
        """
        ends = self.clock() + self.settings.deadline_ms / 1000
        now = self.wall()
        try:
            key = self.key.get(now, 1.0)
            shown = verify(request.recommendation_id, key, user_id=request.user_id, now_s=now)
        except TokenRefused as error:
            self.count({"TokensRefused": (1, "Count")}, {"Reason": error.reason})
            raise InvalidInput(
                "the recommendation_id is not good for this user",
                "one that /recommend answered to this user, not yet expired",
                code="token_refused",
                status=403,
            ) from None
        except StepFailed:
            raise InvalidInput(
                "tokens cannot be checked now", "the same events later", code="try_again", status=429
            ) from None
        at, skew = datetime.fromtimestamp(now, UTC), timedelta(seconds=self.settings.clock_skew_s)
        result = sort_events(request.events, shown, request.user_id, at, skew)
        self._put(result, ends)
        events = len(result.canonical)
        self.count(
            {
                "Accepted": (events, "Count"),
                "Rejected": (len(result.rejected), "Count"),
                "Duplicates": (result.duplicates, "Count"),
            },
            {"Release": shown.release_id},
        )
        return result

    def _put(self, result: Sorted, ends: float) -> None:
        """Only what was refused is sent again, after a growing pause with jitter, for as long as there is time."""
        left, pause_s = list(result.canonical), FIRST_PAUSE_S
        while left:
            refusals = self.feedback.put_batch([event for _, event in left], max(ends - self.clock(), 0.05))
            left = [each for each, refused in zip(left, refusals, strict=True) if refused]
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            wait_s = pause_s * self.rng.random()
            if not left or self.clock() + wait_s >= ends:
                break
            self.sleep(wait_s)
        lost = {index for index, _ in left}
        for index in sorted(lost):
            result.reject(index, "not stored: the stream is busy", "the same event again later")
        result.canonical = [each for each in result.canonical if each[0] not in lost]

    def count(self, metrics: dict[str, tuple[float, str]], dimensions: dict[str, str]) -> None:
        count(metrics, dimensions)


def ingest_world(settings: IngestEventsSettings, http: SignedHttp | None = None) -> IngestWorld:
    http = http or SignedHttp()
    return IngestWorld(settings, SecretKey(http, settings.token_secret_arn), Firehose(http, settings.feedback_stream))
