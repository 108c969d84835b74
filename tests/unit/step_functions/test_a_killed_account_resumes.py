"""Killed after any row of its journal, an execution ends as if nothing had happened: no second job, no lost variable."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from local_account.records import Records
from local_account.step_functions.executions import Executions
from support.fake_account import FakeAccount, client_error

ROLE = "arn:aws:iam::123456789012:role/machine"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:m"
ARN = "arn:aws:states:us-east-1:123456789012:execution:m:run"


class FakeSageMaker:
    """Jobs that are done when they are looked at for the second time."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.stopped: list[str] = []
        self.looks: dict[str, int] = {}
        self.ends = True

    def create_training_job(self, **given: Any) -> dict[str, Any]:
        name = given["TrainingJobName"]
        if name in self.created:
            raise client_error("ResourceInUse", f"{name} is in use")
        self.created.append(name)
        return {"TrainingJobArn": f"arn:{name}"}

    def describe_training_job(self, **given: Any) -> dict[str, Any]:
        name = given["TrainingJobName"]
        if name not in self.created:
            raise client_error("ValidationException", "Requested resource not found.")
        self.looks[name] = self.looks.get(name, 0) + 1
        status = "Stopped" if name in self.stopped else "InProgress"
        if self.ends and self.looks[name] > 1:
            status = "Completed"
        return {"TrainingJobName": name, "TrainingJobStatus": status}

    def stop_training_job(self, **given: Any) -> None:
        self.stopped.append(given["TrainingJobName"])


class FakeLambda:
    """Echoes its payload; `flaky` fails its first call."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def invoke(self, **given: Any) -> dict[str, Any]:
        name = given["FunctionName"]
        self.calls.append(name)
        failed = name == "flaky" and self.calls.count("flaky") == 1
        body = json.dumps({"errorType": "Flaky"}).encode() if failed else given["Payload"]
        answer = {"Payload": io.BytesIO(body), "StatusCode": 200, "ResponseMetadata": {"RequestId": "r"}}
        return answer | ({"FunctionError": "Unhandled"} if failed else {})


def task(function: str, **rest: Any) -> dict[str, Any]:
    arguments = {"FunctionName": function, "Payload": "{% $states.input %}"}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments} | rest


TRAIN = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
    # $uuid differs at every evaluation: a resumed task must go by the name it put on disk.
    "Arguments": {"TrainingJobName": "{% 'train-' & $uuid() %}"},
    "Output": "{% $states.result.TrainingJobStatus %}",
    "End": True,
}
WHOLE = {
    "QueryLanguage": "JSONata",
    "StartAt": "First",
    "States": {
        "First": task("one", Assign={"kept": "{% $states.result.Payload.n %}"}, Output={"n": 2}, Next="Tries"),
        "Tries": task("flaky", Retry=[{"ErrorEquals": ["Flaky"]}], Output="{% $states.result.Payload %}", Next="Both"),
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Train", "States": {"Train": TRAIN}},
                {
                    "StartAt": "Each",
                    "States": {
                        "Each": {
                            "Type": "Map",
                            "Items": [1, 2, 3],
                            "MaxConcurrency": 1,
                            "ItemProcessor": {
                                "StartAt": "Item",
                                "States": {
                                    "Item": {"Type": "Pass", "Output": "{% $states.input + $kept %}", "End": True}
                                },
                            },
                            "End": True,
                        }
                    },
                },
            ],
            "Next": "Choose",
        },
        "Choose": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $states.input[0] = 'Completed' %}", "Next": "Done"}],
            "Default": "Odd",
        },
        "Done": {"Type": "Succeed", "Output": {"kept": "{% $kept %}", "both": "{% $states.input %}"}},
        "Odd": {"Type": "Fail", "Error": "Odd"},
    },
}
OUTPUT = {"kept": 7, "both": ["Completed", [8, 9, 10]]}


def record(definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "executionArn": ARN,
        "stateMachineArn": MACHINE,
        "name": "run",
        "status": "RUNNING",
        "startDate": 0.0,
        "input": '{"n": 7}',
        "definition": json.dumps(definition),
        "roleArn": ROLE,
        "redriveCount": 0,
    }


def world(folder: Path, sagemaker: FakeSageMaker, functions: FakeLambda) -> tuple[FakeAccount, Records, Executions]:
    account = FakeAccount(folder, {"sagemaker": sagemaker, "lambda": functions})
    account.clock.advance(0)
    records = Records(folder / "records.db")
    return account, records, Executions(account, records)


@pytest.fixture
def no_waiting(monkeypatch):
    """Retry delays and looks at jobs pass at once."""
    monkeypatch.setattr(
        "local_account.clock.Clock.sleep_until", lambda _clock, _at, stop=None: not (stop and stop.is_set())
    )


def test_killed_at_any_row_it_ends_the_same_and_no_job_runs_twice(tmp_path, no_waiting):
    sagemaker, functions = FakeSageMaker(), FakeLambda()
    _account, records, executions = world(tmp_path / "whole", sagemaker, functions)
    executions.start(record(WHOLE))
    executions.wait(ARN, 10)
    assert json.loads((executions.get(ARN) or {})["output"]) == OUTPUT
    rows = executions.rows(ARN)
    assert len(rows) > 40
    for killed_after in range(len(rows)):
        jobs, again = FakeSageMaker(), FakeLambda()
        jobs.created = [r["position"]["memo"]["job"] for r in rows[:killed_after] if _names_a_job(r)][:1]
        again.calls = ["flaky"]  # it has failed once before, in the life that was cut off or in this one
        _account, records, resumed = world(tmp_path / str(killed_after), jobs, again)
        records.put("execution", ARN, record(WHOLE))
        for at, row in enumerate(rows[:killed_after]):
            records.put(f"rows {ARN}", f"{at:08d}", row)
        resumed.resume()
        resumed.wait(ARN, 10)
        ended = resumed.get(ARN) or {}
        assert (ended["status"], json.loads(ended.get("output", "null"))) == ("SUCCEEDED", OUTPUT), killed_after
        assert len(set(jobs.created)) == 1, killed_after
        ids = [event["id"] for event in resumed.events(ARN)]
        assert ids == list(range(1, len(ids) + 1)), killed_after
        ends = [e["type"] for e in resumed.events(ARN) if e["type"] in ("ExecutionSucceeded", "TaskSubmitted")]
        assert ends.count("ExecutionSucceeded") == 1, killed_after
        records.close()


def _names_a_job(row: dict[str, Any]) -> bool:
    return bool(row["position"]) and "job" in row["position"]["memo"]


def test_an_end_that_was_not_told_is_told_after_the_restart(tmp_path):
    account, records, executions = world(tmp_path, FakeSageMaker(), FakeLambda())
    ended = record(WHOLE) | {"status": "FAILED", "stopDate": 5.0, "error": "E", "told": False}
    records.put("execution", ARN, ended)
    executions.resume()
    executions.resume()
    assert [e["detail"]["status"] for e in account.emitted] == ["FAILED"]


ONE_JOB = {"QueryLanguage": "JSONata", "StartAt": "Train", "States": {"Train": TRAIN}}


def start_job(folder: Path, **fields: Any) -> tuple[FakeAccount, Executions, FakeSageMaker]:
    sagemaker = FakeSageMaker()
    sagemaker.ends = False
    account, _records, executions = world(folder, sagemaker, FakeLambda())
    definition = ONE_JOB | {"States": {"Train": TRAIN | fields}}
    executions.start(record(definition) | {"startDate": account.clock.epoch()})
    for _ in range(500):
        if sagemaker.looks:
            return account, executions, sagemaker
        threading.Event().wait(0.01)
    pytest.fail("the job was not started")


def test_a_stopped_execution_stops_its_job(tmp_path):
    _account, executions, sagemaker = start_job(tmp_path)
    ended = executions.stop(executions.get(ARN) or {}, "Enough", "said the operator")
    assert (ended["status"], ended["error"], sagemaker.stopped) == ("ABORTED", "Enough", sagemaker.created)


def test_a_job_that_outlives_its_states_limit_is_stopped_and_a_timeout(tmp_path):
    account, executions, sagemaker = start_job(tmp_path, TimeoutSeconds=3600)
    account.clock.advance(3601)
    executions.wait(ARN, 5)
    ended = executions.get(ARN) or {}
    assert (ended["status"], ended["error"], sagemaker.stopped) == ("FAILED", "States.Timeout", sagemaker.created)


def test_a_suspended_account_leaves_the_job_alone_and_adopts_it_when_it_is_back(tmp_path):
    _account, executions, sagemaker = start_job(tmp_path)
    executions.suspend()
    assert (executions.get(ARN) or {})["status"] == "RUNNING"
    assert sagemaker.stopped == []
    sagemaker.ends = True
    executions.resume()
    executions.wait(ARN, 5)
    ended = executions.get(ARN) or {}
    assert (ended["status"], ended["output"], len(sagemaker.created)) == ("SUCCEEDED", '"Completed"', 1)


def test_an_abort_that_was_cut_off_is_finished_after_the_restart_job_and_all(tmp_path):
    _account, executions, sagemaker = start_job(tmp_path)
    executions.suspend()
    executions._records.put("execution", ARN, (executions.get(ARN) or {}) | {"stopping": {"error": "E", "cause": "c"}})
    executions.resume()
    executions.wait(ARN, 5)
    assert ((executions.get(ARN) or {})["status"], sagemaker.stopped) == ("ABORTED", sagemaker.created)


def test_a_job_somebody_stopped_is_a_failure_with_its_description_as_the_cause(tmp_path):
    _account, executions, sagemaker = start_job(tmp_path)
    sagemaker.stopped += sagemaker.created
    executions.wait(ARN, 5)
    ended = executions.get(ARN) or {}
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(ended["cause"])["TrainingJobStatus"] == "Stopped"


def test_a_task_that_waits_looks_again_as_soon_as_there_is_news(tmp_path, monkeypatch):
    monkeypatch.setattr("local_account.step_functions.task_jobs.FIRST_LOOK_S", 60.0)
    monkeypatch.setattr("local_account.step_functions.task_jobs.LONGEST_PAUSE_S", 60.0)
    _account, executions, sagemaker = start_job(tmp_path)
    sagemaker.ends = True
    executions.wait(ARN, 0.3)
    assert (executions.get(ARN) or {})["status"] == "RUNNING"
    for _ in range(2):
        executions.news.hear({"source": "aws.sagemaker"})
        executions.wait(ARN, 0.3)
    assert (executions.get(ARN) or {})["status"] == "SUCCEEDED"


def test_every_call_is_made_as_the_machines_role(tmp_path, no_waiting):
    account, _records, executions = world(tmp_path, FakeSageMaker(), FakeLambda())
    executions.start(record(WHOLE))
    executions.wait(ARN, 10)
    assert set(account.roles) == {ROLE}
    metrics = [metric for namespace, metric, _value, _dimensions in account.counted if namespace == "AWS/States"]
    assert metrics == ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionTime"]
