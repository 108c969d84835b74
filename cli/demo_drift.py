"""The demo's last act: what people like changes and nobody says so. Monitors see it, an alarm rings, one retraining answers it."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

from cli.data_commands import add_day, shift_taste
from cli.demo_acts import ENDED_S, POLL_S, Drama, full_house, wait_for
from cli.monitor_runs import MonitorRun, await_monitors, start_monitors
from cli.night_commands import watch_run
from cli.options import console
from cli.rollout_view import RolloutView
from cli.site import Problem
from cli.stage import read_traffic
from cli.tastes import tastes_of

KINDS = ("model-quality", "ranking-quality")
DAYS = 7  # that go by at least before the monitors look again; DriftWindowDays: what the retraining learns from
LOOK_S, CROWD = 35, 2.0  # how long users meet the change before the monitors look, and how many come meanwhile
LOOKS = 4  # over all since the change, until it is no chance any more
TOLD_S = 12.0  # until the last of these users has told, and the streams have delivered: then their labels are complete
HEARD_S = 120.0  # patience with an alarm, and with its answer


def lose_and_regain(drama: Drama) -> float:
    """The whole arc; the share of the lost NDCG that is regained, by the people's true taste."""
    began, _ = _look(drama)
    _shift(drama)
    shifted = _look_until_it_shows(drama)
    _rehearse(drama, _wait_for_retraining(drama))
    regained, _ = _look(drama)
    if math.isnan(share := share_regained(began, shifted, regained)):
        raise Problem("too few lists were looked at to say what was lost; give the demo more users: --rps")
    drama.note(
        f"lists by the people's true taste, NDCG@10: {began:.3f} before, {shifted:.3f} after the change, "
        f"[bold]{regained:.3f}[/] now: {share:.0%} of what was lost is regained"
    )
    return share


def share_regained(before: float, lost: float, now: float) -> float:
    """(now - lost) / (before - lost); above 1 where the new release is better than the old one ever was.

    Examples
    --------
    >>> round(share_regained(0.6, 0.4, 0.58), 2)
    0.9
    """
    return (now - lost) / (before - lost) if before > lost else math.nan


def _look_until_it_shows(drama: Drama) -> float:
    """Users meet the change, and the monitors look at all since then, once more while it may be chance."""
    for _ in range(LOOKS):
        with full_house(drama, CROWD), console.status("users are shown what they liked yesterday"):
            time.sleep(LOOK_S)
        worth, violations = _look(drama)
        if violations:
            return worth
    raise Problem(f"the monitors saw no drift in {LOOKS} looks; give the demo more users: --rps")


def _look(drama: Drama) -> tuple[float, int]:
    """The monitors over what the champion showed since it serves, or since the change: its mean NDCG by the true taste, violations."""
    traffic, tally = read_traffic(drama.site), drama.tally
    if traffic is None or tally is None or drama.serves_since is None:
        raise Problem("nobody is on stage any more; understudy status")
    (at, began), until = drama.serves_since, datetime.now(UTC)
    worth = tally.releases[traffic["champion"]["release"]].ndcg(since=began)
    with console.status("the last users tell what they did"):
        time.sleep(TOLD_S)
    runs = start_monitors(drama.site, KINDS, at, until, labels="complete", reason="demo")
    with console.status("the monitors compare what was shown with the release's baseline"):
        await_monitors(drama.site, runs)
    for run in runs:
        drama.note(_said(run))
    return worth, sum(len(run.violations) for run in runs)


def _said(run: MonitorRun) -> str:
    if run.status != "SUCCEEDED":
        raise Problem(f"monitor {run.kind} ended {run.status}: {run.said}")
    if not run.violations:
        return f"monitor {run.kind}: [green]as the release was made for[/]"
    return (
        f"monitor {run.kind}: [red]{len(run.violations)} violations[/], the first: {run.violations[0]['description']}"
    )


def _shift(drama: Drama) -> None:
    """The change, the days after it, and users enough for the monitors to see it."""
    assert drama.people is not None  # noqa: S101 - the acts that rehearse have users
    shift_taste(drama.site)
    drama.note("[red]what people like changes[/]: what was popular is no more, and nobody tells the system")
    days = _days_left(drama)
    if days < DAYS:
        raise Problem(f"the world has {days} days left and the change needs {DAYS}; `make clean` begins anew")
    events = sum(add_day(drama.site)[1] for _ in range(days))
    drama.note(f"{days} days go by, up to today: {events:,} events are in the lake")
    drama.people.now = tastes_of(drama.site, cold_share=0.02)
    drama.serves_since = datetime.now(UTC), time.monotonic()


def _days_left(drama: Drama) -> int:
    """Of the world, until today's midnight: what a retraining by drift takes for the newest days."""
    from simulator.registry import read_world

    world = read_world(drama.site.client("dynamodb"), drama.site.outputs["StateTable"])
    return world.spec.days - world.days_written if world else 0


def _wait_for_retraining(drama: Drama) -> str:
    """From the alarm to the release that its one retraining made."""
    stack, cloudwatch = drama.site.stack, drama.site.client("cloudwatch")
    with console.status("waiting for an alarm"):
        rings = _poll(
            "no alarm rings; understudy logs monitor",
            lambda: [
                alarm["AlarmName"]
                for alarm in cloudwatch.describe_alarms(AlarmNamePrefix=f"{stack}-drift-", StateValue="ALARM")[
                    "MetricAlarms"
                ]
            ],
        )
    drama.note(f"[red]alarm[/]: {', '.join(rings)}")
    with console.status("waiting for what the alarm leads to"):
        (night,) = _poll("no retraining answers the alarm; understudy reactions", lambda: _drift_nights(drama))[:1]
    drama.note(f"react_to_alarm started one retraining, {night['name']}, on the last {DAYS} days")
    output = watch_run(drama.site, night["executionArn"])
    if not output["registered"]:
        raise Problem(f"{output['release_id']} did not pass the gate: " + "; ".join(output["reasons"]))
    drama.rollouts.append(str(output["release_id"]))
    drama.note(f"it made {output['release_id']}")
    return str(output["release_id"])


def _drift_nights(drama: Drama) -> list[dict[str, Any]]:
    runs = drama.site.client("stepfunctions").list_executions(
        stateMachineArn=drama.site.outputs["NightlyMachineArn"], maxResults=20
    )["executions"]
    return [run for run in runs if run["name"].startswith("drift-") and run["status"] in ("RUNNING", "SUCCEEDED")]


def _poll(hint: str, look: Any) -> Any:
    """What `look` finds, as soon as it finds something."""
    ends = time.monotonic() + HEARD_S
    while time.monotonic() < ends:
        if found := look():
            return found
        time.sleep(POLL_S)
    raise Problem(f"within {HEARD_S:.0f} s {hint}")


def _rehearse(drama: Drama, release_id: str) -> None:
    view = RolloutView(drama.site, release_id)
    with full_house(drama):
        wait_for(drama, view)
    if view.traffic["champion"]["release"] != release_id:
        raise Problem(f"{release_id} was not promoted within {ENDED_S:.0f} s: {view.error or view.seen.get('reason')}")
    drama.note(f"{release_id} was [green]promoted on evidence[/] and is the champion")
