"""The monitor machine by named paths: a job with and without labels, nothing to monitor, no data, every Catch and Retry."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "monitor.asl.yaml")
SUBSTITUTIONS = {name: f"the-{name}" for name in definitions.placeholders(MACHINE)}
FOLDERS = [{"name": name, "uri": f"s3://b/{name}", "data_type": "S3Prefix"} for name in ("code", "baseline", "users")]
LISTS = [
    {"name": name, "uri": f"s3://b/{name}.json", "data_type": "ManifestFile"}
    for name in ("capture", "served", "feedback")
]
PLAN = {
    "action": "run",
    "reason": "schedule",
    "kind": "bias",
    "release_id": "r-1",
    "window_start": "2026-11-24T03:00:00Z",
    "window_end": "2026-11-24T04:00:00Z",
    "labels": "fresh",
    "job": "monitor-bias-0f1e2d3c",
    "endpoint": "understudy-ranker",
    "schedule": "understudy-bias",
    "resolution": "60",
    "report_uri": "s3://b/monitors/bias/2026-11-24T03-00-00",
    "inputs": [*FOLDERS, *LISTS],
}
SAID = "CompletedWithViolations: Job completed successfully with 2 violations."
DONE = {"ProcessingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/x", "ExitMessage": SAID}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
THROTTLED = {"Error": "SageMaker.AmazonSageMakerException", "Cause": "Rate exceeded"}
NO_ROOM = {"Error": "SageMaker.ResourceLimitExceededException", "Cause": "The account-level service limit was reached"}
NO_LISTS = {
    "Error": "States.TaskFailed",
    "Cause": '{"ExitMessage": "Job inputs had no data: no list of r-1 in the window"}',
}


def run(plan=PLAN, jobs=(DONE,), plans=(), **more):
    answers = {"PlanMonitor": [*plans, {"Payload": plan}], "RunMonitor": list(jobs)}
    return run_machine(MACHINE, input={"kind": "bias"}, answers=answers, substitutions=SUBSTITUTIONS, **more)


def arguments_of(job):
    given = job["AppSpecification"]["ContainerArguments"]
    return dict(zip(given[::2], given[1::2], strict=True))


def test_a_monitor_runs_one_job_over_its_window_and_tells_what_it_said():
    monitored = run()
    assert (monitored.status, monitored.path[-1]) == ("SUCCEEDED", "Monitored")
    assert monitored.output["said"] == SAID
    assert monitored.output["report_uri"] == PLAN["report_uri"]
    (job,) = monitored.arguments["RunMonitor"]
    given = arguments_of(job)
    assert (given["--window-start"], given["--window-end"]) == (PLAN["window_start"], PLAN["window_end"])
    places = {one["InputName"]: one["S3Input"] for one in job["ProcessingInputs"]}
    assert {given[f"--{name}"] for name in ("capture", "served", "baseline", "users", "ground-truth")} <= {
        one["LocalPath"] for one in places.values()
    }
    assert (places["served"]["S3DataType"], places["baseline"]["S3DataType"]) == ("ManifestFile", "S3Prefix")


def test_before_any_label_came_back_there_is_no_input_of_labels():
    (job,) = run({**PLAN, "inputs": [*FOLDERS, *LISTS[:2]]}).arguments["RunMonitor"]
    assert "--ground-truth" not in arguments_of(job)
    assert "feedback" not in [one["InputName"] for one in job["ProcessingInputs"]]


def test_job_names_carry_redrive_and_retry_and_fit_into_63_characters():
    longest = {**PLAN, "kind": "ranking-quality", "job": "monitor-ranking-quality-" + 34 * "x"}
    names = [job["ProcessingJobName"] for job in run(longest, [THROTTLED, DONE], redrives=2).arguments["RunMonitor"]]
    assert names == [f"{longest['job']}-2-0", f"{longest['job']}-2-1"]
    assert max(map(len, names)) <= 63


def test_nobody_on_stage_is_no_failure():
    ended = run({**PLAN, "action": "nothing", "reason": "no release is on stage", "inputs": []})
    assert (ended.status, ended.path[-1]) == ("SUCCEEDED", "NothingToMonitor")
    assert ended.output == {"kind": "bias", "said": "no release is on stage"}


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(
            lambda: run({**PLAN, "action": "no_data", "reason": "Job inputs had no data: x", "inputs": []}),
            id="the lake holds no object of the window",
        ),
        pytest.param(lambda: run(jobs=[NO_LISTS]), id="the job found no list in them"),
    ],
)
def test_no_data_is_a_failure_that_says_so(ended):
    failed = ended()
    assert (failed.status, failed.error) == ("FAILED", "MonitorFailed")
    assert "Job inputs had no data" in failed.cause


def test_every_rule_catch_and_retry_is_walked():
    crash = {"Error": "RuntimeError", "Cause": "boom"}
    runs = [run(), run({**PLAN, "action": "nothing"}), run({**PLAN, "action": "no_data"}), run(jobs=[NO_LISTS])]
    runs += [run(plans=[BUSY]), run(plans=[crash]), run(jobs=[THROTTLED, NO_ROOM, DONE])]
    assert missing_decisions(MACHINE, runs) == []
