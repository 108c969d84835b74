"""What happens in each act of the demo: nights, rehearsals under simulated traffic, and a poison."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live

from cli.data_commands import add_day, generate_world
from cli.night_commands import start_night, watch_run
from cli.options import console
from cli.poison_commands import change_index
from cli.rollout_view import RolloutView
from cli.run_view import FINAL
from cli.site import Problem, Site
from cli.stage import read_release, read_traffic

if TYPE_CHECKING:  # numpy and uvloop, which --help must not wait for
    from simulator.tally import Tally
    from simulator.tastes import ChangingTastes
    from simulator.traffic import Background

DAYS_AHEAD = (
    12  # of the simulated world, up to today: acts 2 and 3 take one or more each, act 4 what is left, a week at least
)
NIGHTS = 2  # that an act may take: a gate that refuses a release is no failure, and the next day brings another
STARTED_S, ENDED_S = 120.0, 900.0  # patience with an approval on its way, and with a whole rollout
QUIET = 0.1  # of the rehearsals' traffic: models are trained meanwhile, on the same two cores
POLL_S = 1.0


@dataclass
class Drama:
    """The stage of a run: where, when it began, what happened since, and the users."""

    site: Site
    rps: float
    began: float
    happened: list[tuple[float, str]] = field(default_factory=list)
    rollouts: list[str] = field(default_factory=list)
    traffic: Background | None = None
    people: ChangingTastes | None = None
    serves_since: tuple[datetime, float] | None = None  # the champion: by the wall clock and by the monotonic one

    @property
    def tally(self) -> Tally | None:
        return self.traffic.tally if self.traffic else None

    def note(self, what: str) -> None:
        """Remember a moment for the time line at the end, and say it now."""
        at = time.monotonic() - self.began
        self.happened.append((at, what))
        console.print(f"[dim]{at:5.0f} s[/]  {what}")

    @contextmanager
    def users(self, log: Path) -> Iterator[None]:
        """Simulated users come and go meanwhile: few in the nights, `rps` of them while something rehearses."""
        from cli.tastes import tastes_of
        from simulator.tastes import ChangingTastes
        from simulator.traffic import Background, Options

        options = Options(rps=self.rps, seconds=3600, seed=int(time.time()), log=log)
        self.people = ChangingTastes(tastes_of(self.site, cold_share=0.02))
        self.traffic = Background(self.site, self.people, options)
        self.traffic.pace = QUIET
        with self.traffic:
            self.note(
                f"simulated users ask, look, click by their own taste and tell ({self.rps:g} a second in rehearsals)"
            )
            yield


def prepare_data(drama: Drama) -> None:
    """A month of a simulated app, unless the lake has one; the days up to today stay for the nights to come."""
    if _world(drama.site) is None:
        if "Item" in _lake(drama.site):
            raise Problem(
                "the lake holds real data, and the demo plays in a simulated world; give it another folder: --state"
            )
        events = generate_world(drama.site, ahead=DAYS_AHEAD)
        drama.note(f"30 days of a simulated app are in the lake, {events:,} events")


def add_a_day(drama: Drama) -> None:
    try:
        day, events = add_day(drama.site)
    except Problem as problem:
        raise Problem(f"{problem.sentence}; `make clean` begins anew") from None
    drama.note(f"the app's next day, {day.isoformat()}, is in the lake, {events:,} events")


def first_night(drama: Drama) -> None:
    """The first release goes straight to the stage: there is nobody to compare it with."""
    serving = read_traffic(drama.site)
    if serving is not None:
        drama.note(f"{serving['champion']['release']} serves already")
        return
    view = RolloutView(drama.site, _night(drama))
    wait_for(drama, view)
    if view.traffic.get("champion", {}).get("release") != view.rollout_id:
        raise Problem(f"{view.rollout_id} did not come on stage: {view.error}; understudy logs put_on_stage")
    drama.note(f"{view.rollout_id} is the champion, in slot {view.traffic['champion']['slot']}")


def rehearse_good(drama: Drama) -> None:
    view = RolloutView(drama.site, _night(drama))
    with full_house(drama):
        wait_for(drama, view)
    serves = view.traffic["champion"]["release"] == view.rollout_id
    if view.status != "SUCCEEDED" or not serves:
        drama.note(f"{view.rollout_id} was [yellow]not promoted[/]: {_fate(drama.site, view)}")
        return
    drama.note(f"{view.rollout_id} was [green]promoted on evidence[/] and is the champion")


def rehearse_poisoned(drama: Drama) -> None:
    """The index is spoilt after every check and before the first user: rows moved among ids, as an off-by-one does."""
    release_id = _night(drama)
    with console.status("poisoning its index"):
        held = change_index(drama.site, release_id, "shuffled_index")
    drama.note(
        f"{release_id} passed every check; now [red]its index is poisoned[/]: {held:,} rows lie under others' ids"
    )
    view = RolloutView(drama.site, release_id)
    with full_house(drama):
        wait_for(drama, view)
        _wait_for_rollback(drama, view)
    champion = view.traffic["champion"]["release"]
    if champion == release_id:
        drama.note(f"[red]{release_id} was promoted although it is poisoned[/]")
        return
    drama.note(f"{release_id} was [green]caught and taken down[/]: {_fate(drama.site, view)}")
    drama.note(f"{champion} serves everybody")


def _night(drama: Drama) -> str:
    """The id of a release that is good enough to rehearse; one that the gate refuses is followed by the next day's."""
    for left in range(NIGHTS - 1, -1, -1):
        output = _one_night(drama)
        release_id = str(output["release_id"])
        if output["registered"]:
            drama.note(f"a night made {release_id}")
            drama.rollouts.append(release_id)
            return release_id
        why = "; ".join(reason for reason in output["reasons"] if "worse by" in reason) or "; ".join(output["reasons"])
        drama.note(f"a night made {release_id}, and [yellow]the gate refused it[/]: {why}")
        if left:
            add_a_day(drama)
    raise Problem(f"{NIGHTS} nights in a row did not pass the gate; understudy releases")


def _one_night(drama: Drama) -> dict[str, Any]:
    """A night over all that is in the lake; what its machine says."""
    world = _world(drama.site)
    if world is None:
        raise Problem("the simulated world was forgotten meanwhile; `make clean` begins anew")
    request = {"reason": "demo", "as_of": world.now.isoformat()}
    return watch_run(drama.site, start_night(drama.site, request))


@contextmanager
def full_house(drama: Drama, pace: float = 1.0) -> Iterator[None]:
    """As many users meanwhile as rehearsals have, or `pace` times as many."""
    assert drama.traffic is not None  # noqa: S101 - the acts that rehearse have users
    drama.traffic.pace = pace
    yield
    drama.traffic.pace = QUIET


def wait_for(drama: Drama, view: RolloutView) -> None:
    """Show a rollout until it has ended; a change of stage is a moment of the time line."""
    began, told, served = time.monotonic(), "", False
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not view.ended:
            view.refresh()
            if view.stage != told and view.seen and not view.ended:
                told = view.stage
                drama.note(f"{view.rollout_id} {told}")
            if not served and (view.traffic.get("champion") or {}).get("release") == view.rollout_id:
                served, drama.serves_since = True, (datetime.now(UTC), time.monotonic())
            live.update(Group(view.panel(), _users(drama)), refresh=True)
            waited = time.monotonic() - began
            if waited > (ENDED_S if view.status else STARTED_S):
                raise Problem(
                    f"the rollout of {view.rollout_id} takes more than {waited:.0f} s; understudy logs start_rollout"
                )
            time.sleep(POLL_S)
    view.refresh()


def _wait_for_rollback(drama: Drama, view: RolloutView) -> None:
    """Until nothing is left of a release that was taken down; at once if it was not."""
    states, ends = drama.site.client("stepfunctions"), time.monotonic() + ENDED_S
    machine, prefix = drama.site.outputs["RollBackMachineArn"], f"{view.rollout_id}-back-"
    with console.status("cleaning up behind it"):
        while time.monotonic() < ends:
            runs = states.list_executions(stateMachineArn=machine, maxResults=20)["executions"]
            mine = [run["status"] for run in runs if run["name"].startswith(prefix)]
            view.refresh()
            if (mine and all(status in FINAL for status in mine)) or (view.status == "SUCCEEDED" and not mine):
                return
            time.sleep(POLL_S)
    raise Problem(f"the rollback of {view.rollout_id} does not end; understudy doctor")


def _users(drama: Drama) -> str:
    tally = drama.tally
    if tally is None:
        return ""
    return f"users: {tally.answered:,} answers, {tally.client_errors} errors, {tally.degraded} degraded, p95 {tally.percentile(0.95):.0f} ms"


def _fate(site: Site, view: RolloutView) -> str:
    """What became of it, in the judge's words where it spoke last."""
    status = read_release(site, view.rollout_id)["status"]
    reason = view.seen.get("reason") if view.seen.get("action") == "roll_back" else view.error
    return f"{status}; {reason}"


def _world(site: Site) -> Any:
    from simulator.registry import read_world

    return read_world(site.client("dynamodb"), site.outputs["StateTable"])


def _lake(site: Site) -> dict[str, Any]:
    return site.client("dynamodb").get_item(TableName=site.outputs["StateTable"], Key={"id": {"S": "lake"}})
