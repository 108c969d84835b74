"""The score_all machine by named paths: every Choice both ways, every Catch, every Retry."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "score_all.asl.yaml")
NUMBERS = {"ScoreInstanceCount": "1", "ScoreWorkers": "2"}
SUBSTITUTIONS = {name: NUMBERS.get(name, f"the-{name}") for name in definitions.placeholders(MACHINE)}
PLAN = {
    "run_id": "score-1",
    "reason": "schedule",
    "release_id": "r-9",
    "parts": {
        "two_tower_model_s3": "s3://b/work/two_tower/0/j/output/model.tar.gz",
        "ranker_model_s3": "s3://b/work/ranker/0/j/output/model.tar.gz",
        "vectors_s3": "s3://b/work/embed_items/0",
        "prepared_s3": "s3://b/work/prepare_data/0",
        "manifest_s3": "s3://b/releases/r-9/manifest.json",
    },
    "at": "2026-11-24T12:00:00+00:00",
    "k": "10",
    "rules": '{"candidates": 200}',
    "export": "yes",
    "code_uri": "s3://b/code/1",
    "wheelhouse_uri": "s3://b/wheelhouse/",
    "work": {stage: f"s3://b/work/{stage}/1" for stage in ("pack_release", "list_users", "score_users")},
    "scores_uri": "s3://b/scores/r-9/2026-11-24",
}
PROCESSED = {
    "ProcessingJobArn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/x",
    "ExitMessage": "300 lists of r-9, 3,000 rows; recommendations holds them",
}
OUT = "s3://b/work/score_users/1/score-users-score-1-0-0"
TRANSFORMED = {
    "TransformJobArn": "arn:aws:sagemaker:us-east-1:123456789012:transform-job/x",
    "TransformOutput": {"S3OutputPath": OUT},
}
MODEL = {"ModelArn": "arn:aws:sagemaker:us-east-1:123456789012:model/score-score-1-0-0"}
BROKEN = {"Error": "States.TaskFailed", "Cause": '{"FailureReason": "line 17 of the request is no JSON"}'}
THROTTLED = {"Error": "SageMaker.AmazonSageMakerException", "Cause": "Rate exceeded"}
SDK_THROTTLED = {"Error": "SageMaker.SageMakerException", "Cause": "Rate exceeded"}
NO_ROOM = {"Error": "SageMaker.ResourceLimitExceededException", "Cause": "The account-level service limit was reached"}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
FINDERS = ("FindPacked", "FindUsers", "FindLists")
JOBS = {
    "PackRelease": ("GatheringFailed", PROCESSED),
    "ListUsers": ("GatheringFailed", PROCESSED),
    "ScoreUsers": ("TransformFailed", TRANSFORMED),
    "CollectScores": ("ExportFailed", PROCESSED),
}


def payload(value):
    return {"Payload": value}


def nothing_found(plan=PLAN):
    return {
        "PlanScoring": [payload(plan)],
        **{finder: [payload({"finished": False})] for finder in FINDERS},
        **{job: [answer] for job, (_, answer) in JOBS.items()},
        "CreateModel": [MODEL],
        "DropModel": [{}],
        "DropModelAfterFailure": [{}],
    }


def everything_found():
    found = payload({"finished": True, "uri": "s3://b/work/score_users/1/score-users-before-0-0"})
    return nothing_found() | {finder: [found] for finder in FINDERS}


def run(answers, **more):
    return run_machine(MACHINE, input={"reason": "schedule"}, answers=answers, substitutions=SUBSTITUTIONS, **more)


def test_a_whole_run_does_every_job_once_and_says_what_was_exported():
    ended = run(nothing_found())
    assert (ended.status, ended.path[-1]) == ("SUCCEEDED", "Scored")
    assert set(JOBS) <= set(ended.path)
    assert ended.output == {
        "release_id": "r-9",
        "scored_for": PLAN["at"],
        "scores": PLAN["scores_uri"],
        "exported": True,
        "message": PROCESSED["ExitMessage"],
    }


def test_the_transform_gets_the_packed_release_the_users_and_the_rules_of_the_plan():
    ended = run(nothing_found())
    (model,), (job,) = ended.arguments["CreateModel"], ended.arguments["ScoreUsers"]
    assert model["PrimaryContainer"]["ModelDataUrl"] == "s3://b/work/pack_release/1/model.tar.gz"
    assert job["ModelName"] == model["ModelName"] == "score-score-1-0-0"
    assert job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://b/work/list_users/1/users/"
    assert job["TransformOutput"]["S3OutputPath"] == OUT
    assert job["Environment"] == {"SCORING_AT": PLAN["at"], "SCORING_K": "10", "SCORING_RULES": PLAN["rules"]}
    assert ended.arguments["DropModel"] == [{"ModelName": "score-score-1-0-0"}]


def test_finished_work_is_not_done_again_and_its_lists_are_collected_from_where_they_lie():
    ended = run(everything_found())
    assert not {"PackRelease", "ListUsers", "CreateModel", "ScoreUsers"} & set(ended.path)
    inputs = {
        one["InputName"]: one["S3Input"]["S3Uri"] for one in ended.arguments["CollectScores"][0]["ProcessingInputs"]
    }
    assert inputs["lists"] == "s3://b/work/score_users/1/score-users-before-0-0/"


def test_a_run_before_the_first_release_is_no_failure():
    ended = run(nothing_found({**PLAN, "release_id": None, "parts": None}))
    assert (ended.status, ended.path[-1], ended.output["release_id"]) == ("SUCCEEDED", "NothingToScore", None)


@pytest.mark.parametrize("job", JOBS)
def test_a_failed_job_ends_the_run_at_its_own_state_with_its_own_reason(job):
    ended = run(nothing_found() | {job: [BROKEN]})
    assert (ended.status, ended.error) == ("FAILED", JOBS[job][0])
    assert "line 17" in ended.cause


def test_the_model_of_a_failed_transform_goes_too_and_a_redriven_one_has_names_and_a_folder_of_its_own():
    failed = run(nothing_found() | {"ScoreUsers": [BROKEN]})
    assert failed.arguments["DropModelAfterFailure"] == [{"ModelName": "score-score-1-0-0"}]
    redriven = run(nothing_found() | {"ScoreUsers": [THROTTLED, TRANSFORMED]}, redrives=2)
    first, second = redriven.arguments["ScoreUsers"]
    assert (first["TransformJobName"], second["TransformJobName"]) == (
        "score-users-score-1-2-0",
        "score-users-score-1-2-1",
    )
    assert second["TransformOutput"]["S3OutputPath"].endswith("/score-users-score-1-2-1")


def test_a_model_that_cannot_be_dropped_costs_nobody_his_list():
    assert run(nothing_found() | {"DropModel": [{"Error": "States.Timeout", "Cause": "60 s"}]}).status == "SUCCEEDED"


def test_job_names_fit_into_63_characters():
    ended = run(nothing_found())
    names = [
        call[key]
        for calls in ended.arguments.values()
        for call in calls
        for key in ("ProcessingJobName", "TransformJobName", "ModelName")
        if key in call
    ]
    assert max(map(len, names)) + 44 - len(PLAN["run_id"]) <= 63


def test_every_rule_catch_and_retry_is_walked():
    crash = {"Error": "RuntimeError", "Cause": "boom"}
    runs = [run(nothing_found()), run(everything_found()), run(nothing_found({**PLAN, "release_id": None}))]
    runs += [run(nothing_found() | {job: [BROKEN]}) for job in JOBS]
    runs += [run(nothing_found() | {job: [THROTTLED, NO_ROOM, JOBS[job][1]]}) for job in JOBS]
    for door in ("PlanScoring", *FINDERS):
        runs += [
            run(nothing_found() | {door: [BUSY, nothing_found()[door][0]]}),
            run(nothing_found() | {door: [crash]}),
        ]
    runs += [
        run(nothing_found() | {"CreateModel": [SDK_THROTTLED, MODEL]}),
        run(nothing_found() | {"CreateModel": [crash]}),
    ]
    runs += [run(nothing_found() | {"DropModel": [crash]})]
    runs += [run(nothing_found() | {"ScoreUsers": [BROKEN], "DropModelAfterFailure": [crash]})]
    assert missing_decisions(MACHINE, runs) == []
