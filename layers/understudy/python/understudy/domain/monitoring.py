"""What a monitor looks at: which window, whose lists, and under which names."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from understudy.contracts.monitor import MonitorRequest

DAY = timedelta(days=1)
MOST_LATE = timedelta(hours=1)  # a log object's folder is of when it was delivered, not of what happened
LABELS_UNTIL = timedelta(days=4)  # labels come up to three days late; a day's window and its delivery besides
EXECUTION_CHARACTERS = 34  # of a job name's 63, beside `monitor-ranking-quality-` and `-9-9`


@dataclass(frozen=True, slots=True)
class Pace:
    """How often monitors look, and how long they wait for what they look at."""

    period_s: int  # length of a window of fresh labels
    settle_s: int  # until a period's last log object has been delivered
    label_days: int  # until a day's labels are complete

    @property
    def resolution(self) -> str:
        """Storage resolution of the metrics, in seconds: CloudWatch alarms of less than a minute need 1."""
        return "1" if self.period_s < 60 else "60"


def window_of(request: MonitorRequest, started_at: datetime, pace: Pace) -> tuple[datetime, datetime]:
    """The window [start, end) in UTC: as asked, or the last one that is whole.

    Periods tile time from 1970 on, so consecutive runs leave no gap and no overlap whatever a wall clock does; a day of
    complete labels ends at a midnight, UTC, that is `label_days` ago.

    Examples
    --------
    >>> pace = Pace(3600, 180, 3)
    >>> [at.hour for at in window_of(MonitorRequest(kind="bias"), datetime(2026, 11, 24, 4, 2, 59, tzinfo=UTC), pace)]
    [2, 3]
    """
    now = started_at.astimezone(UTC)
    if request.window_start is not None:
        return request.window_start.astimezone(UTC), (request.window_end or now).astimezone(UTC)
    if request.labels == "complete":
        end = now.replace(hour=0, minute=0, second=0, microsecond=0) - pace.label_days * DAY
        return end - DAY, end
    whole = int(now.timestamp() - pace.settle_s) // pace.period_s * pace.period_s
    return datetime.fromtimestamp(whole - pace.period_s, UTC), datetime.fromtimestamp(whole, UTC)


def hour_folder(at: datetime) -> str:
    """yyyy/mm/dd/hh, as log objects are laid down."""
    return f"{at.astimezone(UTC):%Y/%m/%d/%H}"


def job_name(kind: str, run_id: str) -> str:
    """Beginning of the job's name, of an execution's name of any form.

    Examples
    --------
    >>> job_name("bias", "hand-20261124-040000-3")
    'monitor-bias-hand-20261124-040000-3'
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")
    if plain != run_id or len(plain) > EXECUTION_CHARACTERS:
        digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
        plain = f"{plain[: EXECUTION_CHARACTERS - 9].strip('-')}-{digest}".strip("-")
    return f"monitor-{kind}-{plain}"


def report_folder(request: MonitorRequest, start: datetime) -> str:
    """Where a window's report belongs; that of complete labels stands beside the one made the same day."""
    name = f"{start.astimezone(UTC):%Y-%m-%dT%H-%M-%S}"
    return f"monitors/{request.kind}/{name}" + ("-complete" if request.labels == "complete" else "")


def who_served(releases: Iterable[str], champion: str) -> str:
    """Whose day it was: the release of most lists; the champion where none was seen.

    Examples
    --------
    >>> who_served(["r-1", "r-2", "r-1"], "r-3"), who_served([], "r-3")
    ('r-1', 'r-3')
    """
    counts = Counter(releases)
    return max(counts, key=lambda release: (counts[release], release)) if counts else champion
