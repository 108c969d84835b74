"""Alarms on a deployed stack, over the wire: set by CloudWatch, told by EventBridge, answered by the functions under their roles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.alarm_deployed import ring, storms_on
from cli.main import app
from cli.reactions_command import read_episode, read_reactions, redrive_alarms
from cli.site import Site
from cli.stage import read_release, read_traffic
from support.deployed import deployed
from support.doors import golden
from support.small_releases import approve_release, put_release

pytestmark = pytest.mark.timeout(600)
PARAMETERS = {"CoolDownSeconds": "3600", "BakeSeconds": "3600", "LookSeconds": "5", "DrainSeconds": "3"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("reactions"), **PARAMETERS) as site:
        yield site


def until(look: Callable[[], Any], seconds: float = 90.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.2)
    return found


def reaction(site: Site, alarm: str, *, state: str = "ALARM") -> Any:
    """The newest decision about an alarm's state, however old the occasion is."""
    found = (one for one in read_reactions(site, 90) if (one.occasion.alarm, one.occasion.state) == (alarm, state))
    return next(found, None)


def queue_arn(site: Site) -> str:
    asked = site.client("sqs").get_queue_attributes(
        QueueUrl=site.outputs["UndeliveredEventsUrl"], AttributeNames=["QueueArn"]
    )
    return str(asked["Attributes"]["QueueArn"])


def letters(site: Site) -> list[dict[str, Any]]:
    """What lies in the dead-letter queue; seen again at once."""
    answer = site.client("sqs").receive_message(
        QueueUrl=site.outputs["UndeliveredEventsUrl"], MaxNumberOfMessages=10, VisibilityTimeout=0
    )
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def test_fifty_alarms_at_once_are_fifty_decisions_and_one_retrain_of_the_real_machine(site: Site) -> None:
    storm = storms_on(site, 1)
    assert (storm.lost, storm.retrains) == (0, [1])
    assert storm.events >= 50
    [run] = [one.execution for one in read_reactions(site, 2) if one.action == "retrain"]
    episode = read_episode(site)
    assert episode is not None
    machine = site.outputs["NightlyMachineArn"].replace(":stateMachine:", ":execution:")
    night = site.client("stepfunctions").describe_execution(executionArn=f"{machine}:{run}")
    assert json.loads(night["input"])["episode"] == episode.episode_id


def test_the_sweep_runs_under_its_own_role(site: Site) -> None:
    names = [row["FunctionName"] for row in site.client("lambda").list_functions()["Functions"]]
    function = next(name for name in names if "SweepAlarms" in name)
    said = site.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    assert "FunctionError" not in said, said["Payload"].read()


def test_a_poison_event_ends_in_the_queue_with_its_reason_and_a_lost_one_is_handed_in_again(site: Site) -> None:
    function = site.outputs["ReactToAlarmFunction"]
    site.client("lambda").put_function_event_invoke_config(  # the two retries would take three minutes
        FunctionName=function,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue_arn(site)}},
    )
    poison = {**golden("react_to_alarm/drift"), "detail": {"alarmName": "understudy-drift-bias"}}
    site.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(poison).encode())
    [letter] = until(lambda: letters(site), 240)
    assert letter["requestPayload"] == poison
    assert "state" in letter["responsePayload"]["errorMessage"]
    lost = golden("react_to_alarm/schema_is_broken")
    site.client("sqs").send_message(QueueUrl=site.outputs["UndeliveredEventsUrl"], MessageBody=json.dumps(lost))
    assert redrive_alarms(site) == 1
    assert until(lambda: reaction(site, lost["detail"]["alarmName"])).reason
    assert [one["requestPayload"] for one in until(lambda: letters(site), 90)] == [poison]


def test_an_alarm_of_the_candidates_slot_takes_it_off_the_stage(site: Site) -> None:
    put_release(site, "r-1", age_s=60)
    approve_release(site, "r-1")
    until(lambda: read_traffic(site))
    put_release(site, "r-2")
    approve_release(site, "r-2")
    until(lambda: (read_traffic(site)["candidate"] or {}).get("release") == "r-2")
    ring(site, "health-green")
    until(lambda: read_traffic(site)["candidate"] is None)
    decided = reaction(site, "understudy-health-green")
    assert (decided.action, decided.settled) == ("roll_back", True)
    until(lambda: read_release(site, "r-2")["status"] == "rejected")
    ring(site, "errors-ranker-blue")
    assert until(lambda: reaction(site, "understudy-errors-ranker-blue")).action == "page"


def test_people_see_every_decision_with_its_reason(site: Site) -> None:
    shown = CliRunner().invoke(app, ["reactions", "--json", "--days", "2"])
    said = json.loads(shown.stdout)
    assert {row["action"] for row in said["reactions"]} >= {"retrain", "ignore"}
    assert all(row["reason"] for row in said["reactions"])
    assert said["episode"]["run"].startswith("drift-")
