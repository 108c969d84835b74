"""The nightly machine by named paths: every Choice both ways, every Catch, every Retry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "nightly.asl.yaml")
SUBSTITUTIONS = {
    name: "1" if name == "EmbedInstanceCount" else f"the-{name}" for name in definitions.placeholders(MACHINE)
}
PLAN = json.loads((ROOT / "events/register_release/passed.json").read_text())["plan"]
CHAMPION = {
    "release_id": "r-0",
    "index": "items-r-0",
    "two_tower_model_s3": "s3://b/work/two_tower/0/j/output/model.tar.gz",
    "ranker_model_s3": "s3://b/work/ranker/0/j/output/model.tar.gz",
    "vectors_s3": "s3://b/work/embed_items/0",
}
PROCESSED = {"ProcessingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/x"}
TRAINED = {
    "TrainingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/x",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m/output/model.tar.gz"},
}
REGISTERED = {"release_id": PLAN["release_id"], "registered": True, "status": "approved", "reasons": []}
BROKEN_JOB = {
    "Error": "States.TaskFailed",
    "Cause": '{"FailureReason": "AlgorithmError: loss is not finite at step 3 of epoch 1, it is nan"}',
}
THROTTLED = {"Error": "SageMaker.AmazonSageMakerException", "Cause": "Rate exceeded"}
NO_ROOM = {"Error": "SageMaker.ResourceLimitExceededException", "Cause": "The account-level service limit was reached"}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
FINDERS = {
    "FindPreparedData": "prepared",
    "FindTwoTower": "two",
    "FindRanker": "ranker",
    "FindVectors": "vectors",
    "FindIndex": "index",
    "FindEvaluation": "evaluation",
    "FindBaseline": "baseline",
}
JOBS = ["PrepareData", "TrainTwoTower", "TrainRanker", "EmbedItems", "IndexItems", "EvaluateRelease", "MakeBaseline"]
FAILURES = {
    "PrepareData": "PreparationFailed",
    "TrainTwoTower": "TrainingFailed",
    "TrainRanker": "TrainingFailed",
    "EmbedItems": "EmbeddingFailed",
    "IndexItems": "IndexingFailed",
    "EvaluateRelease": "EvaluationFailed",
    "MakeBaseline": "BaselineFailed",
}


def payload(value):
    return {"Payload": value}


def nothing_found(plan=PLAN):
    """Answers of a night that does everything, each at the first attempt."""
    return {
        "PlanNight": [payload(plan)],
        **{finder: [payload({"finished": False})] for finder in FINDERS},
        **{job: [TRAINED if job.startswith("Train") else PROCESSED] for job in JOBS},
        "RegisterRelease": [payload(REGISTERED)],
        "ReleaseLease": [payload({"released": ["night"]})],
    }


def everything_found():
    """Answers of a night started anew after all jobs of the first one had finished."""
    found = {
        finder: [
            payload(
                {
                    "finished": True,
                    "uri": f"s3://b/work/{finder}",
                    "model": f"s3://b/work/{finder}/j/output/model.tar.gz",
                }
            )
        ]
        for finder in FINDERS
    }
    return {name: answers for name, answers in {**nothing_found(), **found}.items() if name not in JOBS}


def run(answers, **more):
    return run_machine(MACHINE, input={"reason": "schedule"}, answers=answers, substitutions=SUBSTITUTIONS, **more)


def test_a_whole_night_does_every_job_once_and_ends_registered():
    night = run(nothing_found())
    assert night.status == "SUCCEEDED"
    assert night.path[-1] == "Registered"
    assert [job for job in JOBS if job in night.path] == JOBS
    assert night.output == REGISTERED


def test_finished_work_is_not_done_again():
    night = run(everything_found())
    assert night.status == "SUCCEEDED"
    assert not set(JOBS) & set(night.path)


def test_the_night_says_why_a_release_was_rejected():
    answers = nothing_found() | {
        "RegisterRelease": [payload({**REGISTERED, "registered": False, "status": "rejected", "reasons": ["AUC fell"]})]
    }
    night = run(answers)
    assert (night.status, night.path[-1]) == ("SUCCEEDED", "Rejected")
    assert night.output["reasons"] == ["AUC fell"]


def test_job_names_carry_run_redrive_and_retry_and_fit_into_63_characters():
    night = run(nothing_found() | {"PrepareData": [THROTTLED, PROCESSED]}, redrives=2)
    assert [call["ProcessingJobName"] for call in night.arguments["PrepareData"]] == [
        "prepare-data-" + PLAN["run_id"] + "-2-0",
        "prepare-data-" + PLAN["run_id"] + "-2-1",
    ]
    longest = max(
        len(call[key])
        for calls in night.arguments.values()
        for call in calls
        for key in ("ProcessingJobName", "TrainingJobName")
        if key in call
    )
    assert longest + (44 - len(PLAN["run_id"])) <= 63


def test_without_a_champion_nothing_is_warm_and_nothing_is_compared():
    night = run(nothing_found())
    (training,), (evaluation,) = night.arguments["TrainTwoTower"], night.arguments["EvaluateRelease"]
    assert [channel["ChannelName"] for channel in training["InputDataConfig"]] == ["prepared", "wheelhouse"]
    assert not [argument for argument in evaluation["AppSpecification"]["ContainerArguments"] if "champion" in argument]


def test_with_a_champion_the_towers_start_warm_and_the_holdout_is_shared():
    night = run(nothing_found({**PLAN, "champion": CHAMPION}))
    (training,), (evaluation,) = night.arguments["TrainTwoTower"], night.arguments["EvaluateRelease"]
    warm = training["InputDataConfig"][-1]
    assert (warm["ChannelName"], warm["DataSource"]["S3DataSource"]["S3Uri"]) == (
        "warm",
        CHAMPION["two_tower_model_s3"],
    )
    inputs = {one["InputName"]: one["S3Input"] for one in evaluation["ProcessingInputs"]}
    assert inputs["champion-vectors"]["S3Uri"] == CHAMPION["vectors_s3"]
    assert inputs["champion-vectors"]["LocalPath"] in evaluation["AppSpecification"]["ContainerArguments"]


def test_a_second_night_is_refused_with_the_first_ones_name():
    night = run({"PlanNight": [{"Error": "LeaseHeld", "Cause": "lease night is held by night-1"}]})
    assert (night.status, night.path[-1], night.error) == ("FAILED", "NightRefused", "LeaseHeld")
    assert "night-1" in night.cause


@pytest.mark.parametrize("job", JOBS)
def test_a_failed_job_ends_the_night_at_its_own_state_with_its_own_reason(job):
    night = run(nothing_found() | {job: [BROKEN_JOB]})
    assert (night.status, night.error) == ("FAILED", FAILURES[job])
    assert FAILURES[job] in night.path
    assert "loss is not finite at step 3" in night.cause
    assert "RegisterRelease" not in night.path


def test_every_rule_catch_and_retry_is_walked():
    crash = {"Error": "RuntimeError", "Cause": "boom"}
    runs = [run(nothing_found()), run(everything_found()), run({"PlanNight": [{"Error": "LeaseHeld", "Cause": "x"}]})]
    runs.append(run(nothing_found() | {"RegisterRelease": [payload({**REGISTERED, "registered": False})]}))
    runs += [run(nothing_found() | {job: [BROKEN_JOB]}) for job in JOBS]
    runs += [run(nothing_found() | {job: [THROTTLED, NO_ROOM, nothing_found()[job][0]]}) for job in JOBS]
    for door in ["PlanNight", *FINDERS, "RegisterRelease", "ReleaseLease"]:
        answer = nothing_found()[door][0]
        runs += [run(nothing_found() | {door: [BUSY, answer]}), run(nothing_found() | {door: [crash]})]
    assert missing_decisions(MACHINE, runs) == []
