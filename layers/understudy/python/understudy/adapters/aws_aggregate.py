"""The world of `aggregate_outcomes`: read a log object, count its lines, put aside what cannot be counted."""

from __future__ import annotations

import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from understudy.adapters.aws import client
from understudy.adapters.aws_coverage import DynamoShown, sketches_of
from understudy.adapters.aws_outcomes import DeadLetters, DynamoOutcomes
from understudy.adapters.gauges import tell_outcomes
from understudy.contracts.outcomes import FeedbackLine, ObjectCreated, ServedLine
from understudy.contracts.serving import as_invalid_input
from understudy.domain.coverage import EMPTY
from understudy.domain.outcomes import Fact, OutcomeStore, TooOld, feedback_fact, packs, served_fact
from understudy.observability import count
from understudy.settings import AggregateOutcomesSettings

MAX_OBJECT_BYTES = 256 << 20  # unpacked; Firehose writes at most 128 MiB
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AggregateWorld:
    settings: AggregateOutcomesSettings
    s3: Any
    outcomes: OutcomeStore
    shown: DynamoShown
    dead_letters: DeadLetters
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def count_object(self, event: ObjectCreated) -> dict[str, int]:
        """Count one log object; may be called again at any point of a call that did not finish."""
        bucket, key = event.detail.bucket.name, event.detail.object.key
        name, now = f"{bucket}/{key}#{event.detail.object.etag}", self.now()
        made: Counter[str] = Counter()
        reader = fact_reader(key, timedelta(hours=self.settings.click_window_hours))
        if reader is None or self.outcomes.is_done(name):
            return {"skipped": 1}
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        sketches: defaultdict[str, bytearray] = defaultdict(lambda: bytearray(EMPTY))
        for facts, duplicates in packs(self._facts(body, f"s3://{bucket}/{key}", reader, now, made)):
            sketches_of(facts, sketches)
            again = self.outcomes.add(facts, now)
            tell_outcomes(fact for fact in facts if fact not in again)
            made["counted"] += len(facts) - len(again)
            made["duplicates"] += duplicates + len(again)
        self.shown.put(sketches, name, now)
        self.outcomes.mark_done(name, now)
        metrics = {f"Lines{what.title()}": (float(lines), "Count") for what, lines in made.items()}
        if metrics:
            count(metrics, {"Log": key.split("/", 1)[0]})
        return dict(made)

    def _facts(
        self, body: bytes, where: str, read: Callable[[bytes, datetime], Fact], now: datetime, made: Counter[str]
    ) -> Iterator[Fact]:
        for number, line in enumerate(lines_of(body), start=1):
            try:
                yield read(line, now)
            except TooOld:
                made["old"] += 1
            except ValidationError as error:
                problem = as_invalid_input(error)
                made["dead"] += 1
                text = line[:4096].decode("utf-8", "replace")
                self.dead_letters.send(f"{where}:{number}", f"{problem.what}; expected {problem.expected}", text)


def fact_reader(key: str, window: timedelta) -> Callable[[bytes, datetime], Fact] | None:
    """How the lines of this object are read; None for objects of other logs."""
    if key.startswith("served/"):
        return lambda line, now: served_fact(ServedLine.model_validate_json(line), now)
    if key.startswith("feedback/"):
        return lambda line, now: feedback_fact(FeedbackLine.model_validate_json(line), now, window)
    return None


def lines_of(body: bytes) -> Iterator[bytes]:
    """Lines of a plain or gzipped object; a line that never ends is cut at 1 MiB, an object at 256 MiB.

    What is cut off can no longer be JSON, so it ends among the dead letters and nothing is silently lost.
    """
    plain: io.BufferedIOBase = io.BytesIO(body)
    stream = io.BufferedReader(gzip.GzipFile(fileobj=plain)) if body[:2] == b"\x1f\x8b" else plain
    taken = 0
    while line := stream.readline(MAX_LINE_BYTES):
        taken += len(line)
        if taken > MAX_OBJECT_BYTES:
            yield b"the object is larger than 256 MiB"
            return
        if line := line.strip():
            yield line


def aggregate_world(settings: AggregateOutcomesSettings) -> AggregateWorld:
    dynamodb = client("dynamodb")
    return AggregateWorld(
        settings,
        client("s3", timeout_s=20),
        DynamoOutcomes(dynamodb, settings.outcomes_table),
        DynamoShown(dynamodb, settings.outcomes_table),
        DeadLetters(client("sqs"), settings.dead_letter_queue_url),
    )
