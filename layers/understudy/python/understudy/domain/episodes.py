"""Episodes: one drift, any number of alarms, one retrain a cool-down; every change is made of what stands there now."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from understudy.contracts.nightly import NightRequest
from understudy.contracts.reactions import Episode, Occasion
from understudy.domain.alarms import Alarm, parse_name

RunStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"]
REFUSED = "LeaseHeld"  # the error of a night that found another one running


@dataclass(frozen=True, slots=True)
class Run:
    """An execution as it stands; None in place of one that was never started."""

    status: RunStatus
    error: str | None = None
    stopped_at: datetime | None = None


def episode_id(opened_at: datetime, by: Occasion) -> str:
    """Readable, and another one for each occasion that might open an episode in the same second.

    Examples
    --------
    >>> from datetime import UTC
    >>> at = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
    >>> episode_id(at, Occasion(alarm="shop-drift-bias", state="ALARM", at=at))
    '20260301t040506-0aac'
    """
    digest = hashlib.sha256(f"{by.alarm} {by.at.isoformat()}".encode()).hexdigest()
    return f"{opened_at:%Y%m%dt%H%M%S}-{digest[:4]}"


def run_name(episode: str, attempt: int) -> str:
    """The retrain's execution: at most 44 characters, since job names are made of it."""
    return f"drift-{episode}" if attempt == 1 else f"drift-{episode}-{attempt}"


def cools_down(episode: Episode | None, now: datetime) -> bool:
    """Half-open: at `cool_down_until` itself the cool-down is over."""
    return episode is not None and now < episode.cool_down_until


def opened(
    before: Episode | None,
    by: Occasion,
    alarms: Sequence[str],
    *,
    stack: str,
    now: datetime,
    cool_down_s: int,
    window_days: Mapping[str, int],
) -> Episode:
    """A new episode, in the place of the one before."""
    identity = episode_id(now, by)
    still = before is not None and before.closed_at is None
    return Episode(
        version=before.version + 1 if before else 1,
        episode_id=identity,
        opened_at=now,
        opened_by=by,
        alarms=list(alarms),
        run=run_name(identity, 1),
        request=retrain_request(identity, alarms, stack=stack, window_days=window_days),
        cool_down_until=now + timedelta(seconds=cool_down_s),
        in_a_row=before.in_a_row + 1 if before and still else 1,
    )


def retrain_request(
    episode: str, alarms: Sequence[str], *, stack: str, window_days: Mapping[str, int]
) -> dict[str, Any]:
    """The nightly machine's input. The shortest window that any of the drifts asks for; else the deployment's own."""
    names = [parse_name(stack, alarm) for alarm in alarms]
    kinds = sorted({name.kind for name in names if name is not None and name.kind is not None})
    asked = [window_days[kind] for kind in kinds if kind in window_days]
    request = NightRequest(
        reason=f"drift: {', '.join(kinds)}",
        episode=episode,
        alarms=list(alarms),
        window_days=min(asked) if asked else None,
    )
    return request.model_dump(mode="json", exclude_defaults=True)


def tried_again(episode: Episode, *, now: datetime, cool_down_s: int) -> Episode:
    """The episode with its retrain under the next name: the one before was refused because another night ran."""
    return episode.model_copy(
        update={
            "version": episode.version + 1,
            "attempt": episode.attempt + 1,
            "run": run_name(episode.episode_id, episode.attempt + 1),
            "started_at": None,
            "cool_down_until": now + timedelta(seconds=cool_down_s),
        }
    )


@dataclass(frozen=True, slots=True)
class Mending:
    """What the sweep does about an episode's run: `start` it, write the episode `anew` and start, `page`, or nothing."""

    action: Literal["start", "anew", "page", "leave"]
    reason: str
    episode: Episode | None = None


def mend(episode: Episode | None, run: Run | None, night: str | None, *, now: datetime, cool_down_s: int) -> Mending:
    """What an episode's run needs: a crash may have come between naming it and starting it; it may have ended badly.

    Parameters
    ----------
    run : Run or None
        The retrain's execution.
    night : str or None
        The execution that has the night's lease and runs.
    """
    if episode is None or episode.closed_at is not None:
        return Mending("leave", "no episode is open")
    if run is None and not cools_down(episode, now):
        return Mending("leave", f"{episode.run} was never started, and its cool-down is over")
    if run is None:
        return Mending("start", f"{episode.run} was named and not started", episode)
    if run.status == "FAILED" and run.error == REFUSED:
        if night is not None:
            return Mending("leave", f"{episode.run} was refused, and {night.rpartition(':')[2]} still runs")
        again = tried_again(episode, now=now, cool_down_s=cool_down_s)
        return Mending("anew", f"{episode.run} was refused because another night ran", again)
    if run.status in ("FAILED", "TIMED_OUT"):
        return Mending("page", f"retrain {episode.run} ended {run.status}: {run.error or 'no error is given'}", episode)
    return Mending("leave", f"{episode.run} is {run.status}")


def may_close(episode: Episode | None, run: Run | None, alarms: Sequence[Alarm]) -> bool:
    """Whether an open episode is over: its run too, and every alarm of it OK. One without data says nothing."""
    if episode is None or episode.closed_at is not None or (run is not None and run.status == "RUNNING"):
        return False
    return all(alarm.state == "OK" for alarm in alarms if alarm.text in episode.alarms)
