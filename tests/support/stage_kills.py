"""Whatever brings releases on stage and off it is killed, and in the end one good release serves everybody with nothing left over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from cli.doctor_command import examine
from cli.run_view import FINAL
from cli.site import Site
from cli.stage import read_releases, read_traffic
from local_account import lifecycle
from understudy.adapters.aws import DynamoLeases

Kill = Literal["stop", "account", "function", "endpoint"]
PATIENCE_S = 600.0  # of machines that do much else; a rollout takes 20 s on a quiet one


def wait_until(look: Callable[[], Any], what: str, patience_s: float = PATIENCE_S, pause_s: float = 0.1) -> Any:
    """What a look finds at last. An account that is just gone, or coming back, is asked again."""
    ends = time.monotonic() + patience_s
    while True:
        with suppress(BotoCoreError, ClientError, OSError):
            if found := look():
                return found
        assert time.monotonic() < ends, f"it did not come about: {what}"
        time.sleep(pause_s)


def entered(site: Site, arn: str, state: str, times: int = 1) -> bool:
    """Wait until an execution has entered a state for the n-th time; False if it ended without."""

    states = site.client("stepfunctions")

    def look() -> str | None:
        described = states.describe_execution(executionArn=arn)
        events, token = list[dict[str, Any]](), dict[str, str]()
        while True:
            page = states.get_execution_history(executionArn=arn, maxResults=1000, **token)
            events += page["events"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        names = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
        if names.count(state) >= times:
            return "entered"
        return "ended" if described["status"] in FINAL else None

    return bool(wait_until(look, f"{state} of {arn}", pause_s=0.02) == "entered")


@dataclass(frozen=True, slots=True)
class Killer:
    """Ends what runs, as nobody would ask for it to end."""

    site: Site
    state: Path  # the account's folder

    def kill(self, how: Kill, arn: str) -> None:
        if how == "stop":
            with suppress(ClientError):
                self.site.client("stepfunctions").stop_execution(executionArn=arn, error="Killed", cause="a sweep")
        elif how == "account":
            self._kill_account()
        elif how == "function":
            self._kill_functions()
        else:
            self._kill_workers()

    def _kill_account(self) -> None:
        running = lifecycle.status(self.state)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: lifecycle.status(self.state) is None, "the account's end", pause_s=0.05)
        lifecycle.up(self.state, port=int(running.url.rpartition(":")[2]), timeout_s=PATIENCE_S)

    def _kill_functions(self) -> None:
        """Every process that runs a door now."""
        running = lifecycle.status(self.state)
        assert running is not None
        for pid in children(running.pid):
            with suppress(OSError):
                if b"awslambdaric" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    def _kill_workers(self) -> None:
        """The worker process of every variant of both endpoints."""
        sagemaker, url = self.site.client("sagemaker"), self.site.client("sagemaker").meta.endpoint_url
        for endpoint in (f"{self.site.stack}-two-tower", f"{self.site.stack}-ranker"):
            with suppress(ClientError):
                config = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
                described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
                for row in described["ProductionVariants"]:
                    order = {"endpoint": endpoint, "model": row["ModelName"], "kill": True}
                    self.site.signed("sagemaker", "PUT", f"{url}/_local/faults", order)


def children(pid: int) -> list[int]:
    """Processes whose parent is this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def rollback_of(site: Site, rollout_id: str) -> str | None:
    """ARN of a rollback of a rollout that runs."""
    machine = site.outputs["RollBackMachineArn"]
    listed = site.client("stepfunctions").list_executions(stateMachineArn=machine, statusFilter="RUNNING")
    rows = (row for row in listed["executions"] if row["name"].startswith(f"{rollout_id}-back-"))
    return next((str(row["executionArn"]) for row in rows), None)


def stop_child(site: Site, rollout_id: str) -> None:
    """The child that a rollout waits for ends, as if somebody had stopped it."""
    states, bakes = site.client("stepfunctions"), _machines(site)[3]
    rows = wait_until(
        lambda: states.list_executions(stateMachineArn=bakes, statusFilter="RUNNING")["executions"],
        f"a bake of {rollout_id}",
    )
    states.stop_execution(executionArn=rows[0]["executionArn"], error="Killed", cause="a sweep")


def at_rest(site: Site) -> dict[str, Any]:
    """Traffic, once nothing runs, nobody holds the stage, one release serves everybody and the doctor finds nothing."""
    wait_until(lambda: is_over(site), "the end of every execution", pause_s=0.3)
    wait_until(lambda: not list(examine(site)), "a doctor who finds nothing", pause_s=1.0)
    traffic = read_traffic(site)
    assert traffic is not None
    assert (traffic["candidate"], traffic["previous"], traffic["share_bp"], traffic["holdback_bp"]) == (
        None,
        None,
        0,
        0,
    )
    champions = [each["release_id"] for each in read_releases(site) if each["status"] == "champion"]
    assert champions == [traffic["champion"]["release"]]
    for endpoint in ("two-tower", "ranker"):
        described = site.client("sagemaker").describe_endpoint(EndpointName=f"{site.stack}-{endpoint}")
        rows = {row["VariantName"] for row in described["ProductionVariants"]}
        assert (described["EndpointStatus"], rows) == ("InService", {traffic["champion"]["slot"]})
    return traffic


def is_over(site: Site) -> bool:
    """Twice, since the event of an end may be on its way to what follows."""
    return _nothing_runs(site) and (time.sleep(1.0) or _nothing_runs(site))  # type: ignore[func-returns-value]


def _nothing_runs(site: Site) -> bool:
    states = site.client("stepfunctions")
    runs = (states.list_executions(stateMachineArn=arn, statusFilter="RUNNING") for arn in _machines(site))
    lease = DynamoLeases(site.client("dynamodb"), site.outputs["LeaseTable"]).holder("stage")
    return lease is None and not any(found["executions"] for found in runs)


def _machines(site: Site) -> list[str]:
    roll_out = site.outputs["RollOutMachineArn"]
    names = ("roll-out", "roll-back", "await-slot", "bake-stage")
    return [roll_out.replace("-roll-out", f"-{name}") for name in names]


def answers_everybody(site: Site, users: int = 8) -> bool:
    """Whether the API answers with the release that traffic names, nothing degraded."""
    champion = (read_traffic(site) or {})["champion"]["release"]
    url = f"{site.outputs['ApiUrl']}/recommend"
    said = [site.signed("execute-api", "POST", url, {"user_id": f"u{one}", "k": 3}) for one in range(users)]
    return all(status == 200 and body["release_id"] == champion and not body["degraded"] for status, body in said)
