"""Kill anything at any state of a rollout or a rollback: one good release serves everybody in the end, and nothing is left over.

The orchestrator is stopped, its children are stopped, functions and model workers are killed, the account itself is killed
and comes back. `make test` walks a sample; `make soak` every state of both machines with 20 seeds, which choose what is killed,
how, when within the state, and in which state the rollback that follows is killed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import sleep

import pytest

from benchmarks.stage_visitors import Visitors
from cli.rollout_runs import arn_of, execution
from cli.rollout_wishes import put_wish
from cli.site import Site
from cli.stage import read_traffic
from local_account.step_functions import definition as definitions
from support.deployed import deployed
from support.small_releases import approve_release, put_release
from support.soak import SOAKING
from support.stage_kills import Kill, Killer, answers_everybody, at_rest, entered, rollback_of, stop_child, wait_until
from understudy.adapters.aws_items import to_item
from understudy.domain.outcomes import hour_of, partition

pytestmark = pytest.mark.timeout(3600 if SOAKING else 900)
ROOT = Path(__file__).parents[3]
PARAMETERS = {
    "RolloutStages": "5000,10000",
    "BakeSeconds": "1",
    "LookSeconds": "1",
    "DrainSeconds": "3",
    "HoldbackBp": "1000",
    "InconclusivePolicy": "promote",  # nobody's clicks are counted here: it goes on without evidence
}
HOWS: tuple[Kill, ...] = ("stop", "stop", "stop", "stop", "function", "endpoint", "account")
FIRST_RELEASE = {"PutFirstOnStage"}  # once in a stack's life: a test of its own
OLDER = {"RetireOlder", "DrainOlder"}  # a release that nobody watches any more is kept: no run leaves one


def states_of(machine: str) -> list[str]:
    states = definitions.load(ROOT / "state_machines" / f"{machine}.asl.yaml")["States"]
    return [name for name, state in states.items() if state["Type"] not in ("Succeed", "Fail")]


UP = [name for name in states_of("roll_out") if name not in FIRST_RELEASE | OLDER]
DOWN = [name for name in states_of("roll_back") if name not in {"TellNotTakenDown", "WaitToTakeDown"}]
DOWN = [name for name in DOWN if name not in {"TellStuck", "WaitToGoOn", "WhereToGoOn"}]  # only what fails leads there


@pytest.fixture(scope="module")
def killer(tmp_path_factory) -> Iterator[Killer]:
    state = tmp_path_factory.mktemp("kills")
    with deployed(state, **PARAMETERS) as site:
        put_release(site, "k-first", age_s=100_000)
        approve_release(site, "k-first")
        wait_until(lambda: read_traffic(site), "the first release on stage")
        at_rest(site)
        yield Killer(site, state)


def harm(site: Site, release_id: str) -> None:
    """Outcomes of a stage that is not written yet, in which every third request to the release fails."""
    traffic = read_traffic(site) or {}
    hour, rows = hour_of(datetime.now(UTC)), []
    for bucket in range(0, 10000, 100):
        arm = release_id if bucket < 5000 else traffic["champion"]["release"]
        row = {"pk": partition(arm, traffic["version"] + 1, hour), "sk": f"{bucket:04d}", "latency_le_20": 30}
        rows.append(row | {"requests": 30, "impressions": 150, "clicks": 20, "errors": 10 * (bucket < 5000)})
    for start in range(0, len(rows), 25):
        puts = [{"PutRequest": {"Item": to_item(row)}} for row in rows[start : start + 25]]
        site.client("dynamodb").batch_write_item(RequestItems={site.outputs["OutcomesTable"]: puts})


def pause(site: Site, release_id: str) -> None:
    put_wish(site, release_id, "pause", "a sweep")


def end_pause(site: Site, release_id: str) -> None:
    put_wish(site, release_id, "resume", "a sweep")


BEFORE: dict[str, Callable[[Site, str], None]] = {"RollBackOnVerdict": harm, "TellHold": pause, "Hold": pause}


def one_run(killer: Killer, release_id: str, at: str, how: Kill, rng: Random, back: str | None = None) -> bool:
    """One release comes, something is killed in state `at`, and perhaps the rollback in state `back`; whether `at` was met."""
    site, arn = killer.site, arn_of(killer.site, release_id)
    put_release(site, release_id)
    BEFORE.get(at, lambda *_: None)(site, release_id)
    approve_release(site, release_id)
    wait_until(lambda: execution(site, release_id), f"the rollout of {release_id}")
    if at == "RollBack" and entered(site, arn, "BakeStage"):
        stop_child(site, release_id)
    met = entered(site, arn, at)
    sleep(rng.uniform(0, 0.25))
    killer.kill(how, arn)
    end_pause(site, release_id)
    if how == "stop" and back is not None:
        kill_rollback(killer, release_id, back, rng)
    at_rest(site)
    wait_until(lambda: answers_everybody(site), "whole answers for everybody", pause_s=1.0)
    return met


def kill_rollback(killer: Killer, release_id: str, at: str, rng: Random) -> None:
    """The rollback that follows dies as well, if one follows."""
    site = killer.site
    try:
        arn = wait_until(lambda: rollback_of(site, release_id), "a rollback", patience_s=10)
    except AssertionError:
        return  # it was over already, or had not begun: at rest says which
    if entered(site, arn, at):
        sleep(rng.uniform(0, 0.25))
        killer.kill("stop", arn)


SAMPLE: list[tuple[str, Kill, str | None]] = [
    ("PutOnStage", "stop", "SeizeStage"),
    ("BakeStage", "account", None),
]


@pytest.mark.skipif(SOAKING, reason="make soak walks every state")
def test_what_is_killed_at_some_states_ends_with_one_release_and_nothing_left_over(killer):
    rng = Random(1)
    for number, (at, how, back) in enumerate(SAMPLE):
        assert one_run(killer, f"k-{number}", at, how, rng, back)


@pytest.mark.skipif(SOAKING, reason="make soak walks every state")
def test_no_user_sees_that_functions_and_workers_are_killed(killer):
    with Visitors(killer.site, 4.0) as visitors:
        assert one_run(killer, "k-endpoint", "BakeStage", "endpoint", Random(2))
    assert {answer.status for answer in visitors.answers} == {200}


@pytest.mark.skipif(not SOAKING, reason="make soak")
@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_killed_at_any_state_ends_with_one_release_and_nothing_left_over(killer, seed):
    rng = Random(seed)
    ups, downs = rng.sample(UP, len(UP)), rng.sample(DOWN, len(DOWN))
    never = []
    for number, at in enumerate(ups):
        how, back = rng.choice(HOWS), downs[number % len(downs)]
        if number < len(downs):
            how = "stop"  # every state of the rollback is met
        try:
            met = one_run(killer, f"k{seed}-{number}", at, how, rng, back)
        except AssertionError as error:
            error.add_note(f"k{seed}-{number}: {how} at {at}, its rollback at {back}")
            raise
        if not met:
            never.append(at)
    assert never == []


@pytest.mark.skipif(not SOAKING, reason="make soak")
@pytest.mark.parametrize("how", ["stop", "function", "endpoint", "account"])
def test_the_first_release_of_all_is_killed_on_its_way_and_the_stage_is_not_lost(tmp_path, how):
    """Stopped before its write it never served, and the next release is the first; else it serves, and the next replaces it."""
    with deployed(tmp_path, **PARAMETERS) as site:
        put_release(site, "k-first", age_s=1000)
        approve_release(site, "k-first")
        wait_until(lambda: execution(site, "k-first"), "the rollout of k-first")
        assert entered(site, arn_of(site, "k-first"), "PutFirstOnStage")
        Killer(site, tmp_path).kill(how, arn_of(site, "k-first"))
        put_release(site, "k-next")
        approve_release(site, "k-next")
        wait_until(lambda: (read_traffic(site) or {"champion": {}})["champion"].get("release") == "k-next", "k-next")
        at_rest(site)
        wait_until(lambda: answers_everybody(site), "whole answers for everybody", pause_s=1.0)
