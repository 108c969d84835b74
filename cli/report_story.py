"""Everything that a report tells of the last days of a stack, read once. Reads only, and only by boto3."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from cli.job_costs import Job, read_jobs
from cli.report_answers import Transition, read_reactions, read_transitions
from cli.report_history import TrafficHistory, read_runs, read_traffic_history
from cli.report_live import Clicks, MonitorReport, read_clicks, read_monitor_reports
from cli.rollout_view import read_verdicts
from cli.site import Site
from cli.stage import read_releases, read_traffic
from understudy.adapters.work import read_json
from understudy.contracts.reactions import Reaction

T = TypeVar("T")
MARGIN = 0.02  # of the span, before the first thing that happened


@dataclass(frozen=True, slots=True)
class Night:
    """One execution of the nightly machine and the jobs it started."""

    name: str
    reason: str
    status: str
    started: datetime
    ended: datetime | None
    release: str | None
    registered: bool
    said: list[str]
    jobs: list[Job]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout: how it ended, and the final verdict of each of its stages."""

    name: str
    release: str
    status: str
    started: datetime
    ended: datetime | None
    verdicts: list[dict[str, Any]]
    backs: list[str]  # why it was taken down, of each rollback


@dataclass
class Story:
    """What was read; `silent` says of each part that could not be, why."""

    stack: str
    since: datetime
    until: datetime
    days: float
    traffic: dict[str, Any] | None = None
    releases: list[dict[str, Any]] = field(default_factory=list)
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    nights: list[Night] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    history: TrafficHistory = field(default_factory=lambda: TrafficHistory([], []))
    clicks: list[Clicks] = field(default_factory=list)
    monitors: list[MonitorReport] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)

    def began(self) -> datetime:
        """When the first thing of these days happened: where plots begin, so that an hour's story fills them."""
        moments = [night.started for night in self.nights] + [rollout.started for rollout in self.rollouts]
        moments += [change.changed_at for change in self.history.changes] + [one.at for one in self.transitions]
        moments += [one.at for one in self.clicks] + [one.start for one in self.monitors]
        first = min((at for at in moments if at >= self.since), default=self.since)
        return max(self.since, first - MARGIN * (self.until - first))


def read_story(site: Site, days: float, now: datetime, tell: Callable[[str], None] = lambda _line: None) -> Story:
    """Read it all; a part that is refused or not there is said in its section and costs the others nothing."""
    story = Story(site.stack, now - timedelta(days=days), now, days)

    def take(name: str, what: str, read: Callable[[], T]) -> None:
        tell(what)
        try:
            setattr(story, name, read())
        except (ClientError, BotoCoreError, KeyError, ValueError) as error:
            story.silent[name] = _why(error)

    since = story.since
    take("traffic", "who serves", lambda: read_traffic(site))
    take("releases", "releases", lambda: read_releases(site))
    take("jobs", "jobs and what they cost", lambda: read_jobs(site, since))
    take("nights", "nights", lambda: _nights(site, since, story.jobs))
    take("evaluations", "evaluations", lambda: _evaluations(site, story))
    take("rollouts", "rollouts and their verdicts", lambda: _rollouts(site, since))
    take("history", "traffic", lambda: read_traffic_history(site, since))
    take("monitors", "monitors' reports", lambda: read_monitor_reports(site, since))
    take("transitions", "alarms", lambda: read_transitions(site, since, now))
    take("reactions", "reactions", lambda: read_reactions(site, since, now))
    served = sorted({one for change in story.history.changes for one in _named(change)})
    take("clicks", "clicks", lambda: read_clicks(site, served, story.began(), now))
    return story


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the deployed stack has no {error.args[0]}; it was deployed from an older template"
    if isinstance(error, ClientError):
        return f"{error.operation_name} was refused: {error.response['Error']['Message']}"
    return str(error)


def _named(change: Any) -> list[str]:
    return [one.release for one in (change.champion, change.candidate, change.previous) if one is not None]


def _nights(site: Site, since: datetime, jobs: list[Job]) -> list[Night]:
    return [_night(run, jobs) for run in read_runs(site, "NightlyMachineArn", since)]


def _night(run: dict[str, Any], jobs: list[Job]) -> Night:
    asked, output = json.loads(run.get("input") or "{}"), json.loads(run.get("output") or "{}")
    failed = [" ".join(filter(None, (run.get("error"), run.get("cause"))))] if run.get("error") else []
    return Night(
        name=run["name"],
        reason=str(asked.get("reason", "")),
        status=run["status"],
        started=run["startDate"].astimezone(UTC),
        ended=run["stopDate"].astimezone(UTC) if "stopDate" in run else None,
        release=output.get("release_id"),
        registered=bool(output.get("registered")),
        said=[*output.get("reasons", []), *failed],
        jobs=[job for job in jobs if f"-{run['name']}-" in job.name],
    )


def _evaluations(site: Site, story: Story) -> dict[str, dict[str, Any]]:
    """evaluation.json of the releases that these nights made: figures beside the champion's, with intervals."""
    s3, made = site.client("s3"), {night.release for night in story.nights}
    return {
        release["release_id"]: read_json(s3, release["evaluation_s3"])
        for release in story.releases
        if release["release_id"] in made
    }


def _rollouts(site: Site, since: datetime) -> list[Rollout]:
    backs = read_runs(site, "RollBackMachineArn", since)
    return [_rollout(site, run, backs) for run in read_runs(site, "RollOutMachineArn", since)]


def _rollout(site: Site, run: dict[str, Any], backs: list[dict[str, Any]]) -> Rollout:
    mine = [json.loads(back["input"]) for back in backs if back["name"].startswith(f"{run['name']}-back-")]
    return Rollout(
        name=run["name"],
        release=str(json.loads(run["input"])["release_id"]),
        status=run["status"],
        started=run["startDate"].astimezone(UTC),
        ended=run["stopDate"].astimezone(UTC) if "stopDate" in run else None,
        verdicts=read_verdicts(site, run["name"]),
        backs=[f"{back.get('cause', '')}: {back.get('reason', '')}" for back in mine],
    )
