"""Operators on a deployed stack: approvals early and late, starts by hand, pauses, promotions, and two of them at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli import release_approval, rollout_commands, rollout_start, rollout_status, rollout_wishes
from cli.doctor_command import examine
from cli.rollout_runs import execution
from cli.rollout_wishes import read_state
from cli.site import Problem, Site
from cli.stage import read_release, read_traffic
from support.deployed import deployed
from support.sagemaker_room import until as until_within
from support.small_releases import approve_release, put_release
from understudy.adapters.aws_items import to_item
from understudy.domain.outcomes import hour_of, partition

pytestmark = pytest.mark.timeout(600)
PARAMETERS = {"BakeSeconds": "200", "LookSeconds": "1", "DrainSeconds": "3", "Approval": "manual"}
DAY_S = 86_400.0
until = partial(until_within, patience_s=240)
WHERE: dict[str, Any] = {"stack": "understudy", "state": Path("nowhere")}  # the environment names the account


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("operators"), **PARAMETERS) as site:
        put_release(site, "r-1", age_s=400)
        approve_release(site, "r-1")
        until(lambda: read_traffic(site))
        until(lambda: read_release(site, "r-1")["status"] == "champion")
        yield site


def refused(command: Any, *words: Any, **options: Any) -> str:
    with pytest.raises(Problem) as problem:
        command(*words, **options, **WHERE)
    return problem.value.sentence


def function(site: Site, part: str) -> str:
    names = [one["FunctionName"] for one in site.client("lambda").list_functions()["Functions"]]
    return next(name for name in names if part in name)


def packages(site: Site, release_id: str) -> list[dict[str, Any]]:
    record = read_release(site, release_id)
    arns = record["two_tower_package_arn"], record["ranker_package_arn"]
    return [site.client("sagemaker").describe_model_package(ModelPackageName=arn) for arn in arns]


def has_index(site: Site, release_id: str) -> bool:
    return rollout_start.has_index(site, f"items-{release_id}")


def seen(site: Site, rollout_id: str) -> dict[str, Any]:
    return read_state(site, f"rollout#{rollout_id}")


def test_a_release_older_than_the_champion_comes_only_by_hand(site, capsys):
    put_release(site, "r-0", age_s=1000)
    assert "understudy releases approve r-0" in refused(rollout_start.start, "r-0")
    release_approval.approve("r-0", **WHERE)
    assert "will be superseded" in " ".join(capsys.readouterr().out.split())
    until(lambda: read_release(site, "r-0")["status"] == "retired")
    assert read_release(site, "r-0")["status_reason"] == "superseded by r-1, which is newer"
    assert "say --again" in refused(rollout_start.start, "r-0")
    until(lambda: execution(site, "r-0")["status"] == "SUCCEEDED")
    rollout_start.start("r-0", again=True, **WHERE)
    until(lambda: (read_traffic(site)["candidate"] or {}).get("release") == "r-0")
    assert read_traffic(site)["rollout_id"] == "r-0-2"
    rollout_start.start("r-0", again=True, **WHERE)  # a second operator
    assert "r-0-2 of it runs already" in " ".join(capsys.readouterr().out.split())


def test_a_pause_holds_the_share_and_a_promotion_ends_it_for_one_stage(site, capsys):
    rollout_wishes.pause(by="ada", **WHERE)
    until(lambda: seen(site, "r-0-2").get("action") == "hold")
    rollout_status.status(**WHERE)
    assert "paused by ada" in capsys.readouterr().out
    assert read_traffic(site)["share_bp"] == 1000
    rollout_wishes.promote(by="bob", **WHERE)
    until(lambda: read_traffic(site)["share_bp"] == 5000)
    version = read_traffic(site)["version"]
    held = until(lambda: seen(site, "r-0-2") if seen(site, "r-0-2")["version"] == version else None)
    assert (held["action"], held["stage"]["share_bp"]) == ("look_again", 5000)


def test_two_operators_who_abort_and_promote_at_once_end_with_one_good_release(site):
    def promote() -> None:
        with suppress(Problem):  # "it is being taken down", where the other was first
            rollout_wishes.promote(by="bob", **WHERE)

    both = [
        threading.Thread(target=promote),
        threading.Thread(target=lambda: rollout_commands.abort("a doubt", watch=False, **WHERE)),
    ]
    for operator in both:
        operator.start()
    for operator in both:
        operator.join()
    until(lambda: read_release(site, "r-0")["status"] == "retired")
    until(lambda: not list(examine(site)))
    traffic = read_traffic(site)
    assert (traffic["champion"]["release"], traffic["candidate"], traffic["previous"]) == ("r-1", None, None)
    assert "rollout r-0-2 is over" in refused(rollout_wishes.pause, rollout="r-0-2")
    assert "its index items-r-0 was deleted" in refused(rollout_start.start, "r-0", again=True)


def test_an_approval_delivered_three_times_is_one_rollout(site):
    put_release(site, "r-2")
    release_approval.approve("r-2", "looks good", **WHERE)
    detail = {**packages(site, "r-2")[0], "ModelApprovalStatus": "Approved"}
    event = json.dumps({"source": "aws.sagemaker", "detail": detail}, default=str)
    for _ in range(3):
        site.client("lambda").invoke(FunctionName=function(site, "StartRollout"), InvocationType="Event", Payload=event)
    until(lambda: (read_traffic(site)["candidate"] or {}).get("release") == "r-2")
    machine = site.outputs["RollOutMachineArn"]
    names = [row["name"] for row in site.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]]
    assert sorted(names) == ["r-0", "r-0-2", "r-1", "r-2"]
    assert "is on stage; understudy rollback" in refused(release_approval.reject, "r-2")


def test_a_failed_guardrail_takes_a_paused_release_down(site):
    rollout_wishes.pause(**WHERE)
    until(lambda: seen(site, "r-2").get("action") == "hold")
    version = read_traffic(site)["version"]
    rows = []
    for release_id, buckets, errors in (("r-2", range(0, 1000, 10), 8), ("r-1", range(1000, 10000, 50), 0)):
        pk, counts = partition(release_id, version, hour_of(datetime.now(UTC))), {"requests": 20, "latency_le_20": 20}
        rows += [{"pk": pk, "sk": f"{bucket:04d}", "errors": errors, **counts} for bucket in buckets]
    for start in range(0, len(rows), 25):
        batch = [{"PutRequest": {"Item": to_item(row)}} for row in rows[start : start + 25]]
        site.client("dynamodb").batch_write_item(RequestItems={site.outputs["OutcomesTable"]: batch})
    until(lambda: read_release(site, "r-2")["status"] == "rejected")
    assert "error" in read_release(site, "r-2")["status_reason"]
    assert "which is final" in refused(rollout_start.start, "r-2", again=True)
    assert read_traffic(site)["champion"]["release"] == "r-1"


def test_an_approval_that_never_comes_lapses_and_a_late_one_starts_nothing(site):
    put_release(site, "r-5", age_s=8 * DAY_S)
    put_release(site, "r-6", age_s=6 * DAY_S)
    answer = site.client("lambda").invoke(FunctionName=function(site, "SettleApprovals"), Payload=b"{}")
    said = json.loads(answer["Payload"].read())
    assert said["rejected"] == {"r-5": "nobody approved both its packages within 7 days"}
    assert {one["ModelApprovalStatus"] for one in packages(site, "r-5")} == {"Rejected"}
    assert (has_index(site, "r-5"), has_index(site, "r-6"), has_index(site, "r-1")) == (False, True, True)
    assert "nobody approved both its packages" in refused(release_approval.approve, "r-5")
    approve_release(site, "r-5")  # in the registry, where nobody is refused
    until(lambda: {one["ModelApprovalStatus"] for one in packages(site, "r-5")} == {"Rejected"})
    assert {one["ApprovalDescription"][:17] for one in packages(site, "r-5")} == {"approved too late"}
    assert execution(site, "r-5") is None


def test_a_release_that_a_person_rejects_is_out_at_once_and_for_good(site, capsys):
    release_approval.reject("r-6", "its titles are odd", **WHERE)
    assert (read_release(site, "r-6")["status"], read_release(site, "r-6")["status_reason"]) == (
        "rejected",
        "its titles are odd",
    )
    assert {one["ModelApprovalStatus"] for one in packages(site, "r-6")} == {"Rejected"}
    release_approval.reject("r-6", **WHERE)
    assert "is rejected already (its titles are odd)" in capsys.readouterr().out
    site.client("lambda").invoke(FunctionName=function(site, "SettleApprovals"), Payload=b"{}")
    assert not has_index(site, "r-6")


def test_between_rollouts_status_says_who_serves_and_how_the_last_ended(site, capsys):
    until(lambda: not list(examine(site)))
    rollout_status.status(**WHERE)
    said = " ".join(capsys.readouterr().out.split())
    for part in ("r-1 serves in slot blue", "no rollout runs", "taken down on the judge's verdict"):
        assert part in said
    rollout_status.status(as_json=True, **WHERE)
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rollout"], facts["last"]["rollout_id"], facts["last"]["status"]) == (None, "r-2", "FAILED")
    assert [one["verdict"] for one in facts["last"]["verdicts"]] == ["fail"]
    rollout_status.history(**WHERE)
    assert "r-0-2" in capsys.readouterr().out
