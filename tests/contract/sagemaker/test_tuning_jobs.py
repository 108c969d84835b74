"""Tuning jobs over real training jobs of a tiny program: every strategy, early stop, stop, failures, a restart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_account.sagemaker.service import SageMakerService
from local_account.wire import AwsError
from tests.support.sagemaker_room import ROLE, call, ended, tar_gz, training, until

# A bowl with its top at x = 3. `bad` dies without a word of its score; `slow` climbs for ever from far below.
TRAIN = """
import argparse, os, pathlib, sys, time
words = argparse.ArgumentParser()
words.add_argument("-x", "--x", type=float, default=3.0); words.add_argument("--form", default="good")
words.add_argument("--wait", type=float, default=0.0); words.add_argument("--epochs", type=int, default=2)
given, rest = words.parse_known_args()
if given.form == "bad":
    sys.exit("this form cannot be trained")
time.sleep(given.wait)
for epoch in range(given.epochs):
    score = -1000.0 if given.form == "slow" else (epoch + 1) / given.epochs * 10 - (given.x - 3) ** 2
    print(f"score={score};", flush=True)
    if given.form == "slow":
        time.sleep(60)
pathlib.Path(os.environ["SM_MODEL_DIR"], "x").write_text(str(given.x))
pathlib.Path(os.environ["SM_MODEL_DIR"], "words").write_text(" ".join(sys.argv[1:]))
"""
NAME = "HyperParameterTuningJobName"


@pytest.fixture(scope="session")
def code(account: Any, bucket: str) -> str:
    account.client("s3").put_object(Bucket=bucket, Key="tuning/code.tar.gz", Body=tar_gz({"train.py": TRAIN}))
    return "tuning/code.tar.gz"


def request(name: str, bucket: str, code: str, *, static: dict[str, str] | None = None, **config: Any) -> dict:
    definition = training(name, bucket, code, HyperParameters=static or {})
    definition["StaticHyperParameters"] = definition.pop("HyperParameters")
    del definition["TrainingJobName"]
    definition["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "score", "Regex": "score=([-0-9.]+);"}]
    numbers = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "10"}]}
    return {
        NAME: name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": numbers,
            **config,
        },
        "TrainingJobDefinition": definition,
    }


def forms(*values: str) -> dict:
    return {"CategoricalParameterRanges": [{"Name": "form", "Values": list(values)}]}


def trials(service: SageMakerService, name: str, **more: Any) -> list[dict]:
    return call(service, "ListTrainingJobsForHyperParameterTuningJob", **{NAME: name, "MaxResults": 100, **more})[
        "TrainingJobSummaries"
    ]


def running(service: SageMakerService, name: str) -> list[dict]:
    return [trial for trial in trials(service, name) if trial["TrainingJobStatus"] in ("InProgress", "Stopping")]


@pytest.mark.parametrize(("strategy", "jobs"), [("Random", 3), ("Bayesian", 8)])
def test_a_search_runs_its_trials_and_names_the_best(account, bucket, service, room, code, strategy, jobs):
    name = f"search-{strategy.lower()}"
    limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 2}
    asked = request(name, bucket, code, Strategy=strategy, ResourceLimits=limits)
    call(service, "CreateHyperParameterTuningJob", **asked, Tags=[{"Key": "night", "Value": "1"}])
    doc = ended(service, "HyperParameterTuning", name)
    assert (doc["HyperParameterTuningJobStatus"], doc["TrainingJobStatusCounters"]["Completed"]) == ("Completed", jobs)
    assert doc["ObjectiveStatusCounters"] == {"Succeeded": jobs, "Pending": 0, "Failed": 0}

    ranked = trials(service, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    values = [row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for row in ranked]
    assert values == sorted(values, reverse=True)
    assert doc["BestTrainingJob"] == ranked[0]
    x = float(ranked[0]["TunedHyperParameters"]["x"])
    assert values[0] == pytest.approx(10 - (x - 3) ** 2, abs=1e-4)  # the last value, of the last epoch

    best = call(service, "DescribeTrainingJob", TrainingJobName=ranked[0]["TrainingJobName"])
    assert best["TuningJobArn"] == doc["HyperParameterTuningJobArn"]
    assert best["HyperParameters"]["_tuning_objective_metric"] == "score"
    assert call(service, "ListTags", ResourceArn=best["TrainingJobArn"])["Tags"] == [{"Key": "night", "Value": "1"}]
    assert (
        best["ModelArtifacts"]["S3ModelArtifacts"]
        == f"s3://{bucket}/models/{best['TrainingJobName']}/output/model.tar.gz"
    )
    told = [
        d["HyperParameterTuningJobStatus"]
        for t, d in room.events
        if t == "SageMaker HyperParameter Tuning Job State Change"
    ]
    assert told == ["InProgress", "Completed"]
    listed = call(service, "ListHyperParameterTuningJobs", NameContains=name)["HyperParameterTuningJobSummaries"]
    assert [(row[NAME], row["Strategy"], row["ResourceLimits"]) for row in listed] == [(name, strategy, limits)]


def test_a_grid_is_walked_whole_and_failing_trials_are_borne(account, bucket, service, code):
    ranges = forms("good", "bad")
    ranges["CategoricalParameterRanges"].append({"Name": "x", "Values": ["1", "3"]})
    limits = {"MaxParallelTrainingJobs": 2}
    asked = request("grid", bucket, code, Strategy="Grid", ParameterRanges=ranges, ResourceLimits=limits)
    call(service, "CreateHyperParameterTuningJob", **asked)
    doc = ended(service, "HyperParameterTuning", "grid")
    assert doc["HyperParameterTuningJobStatus"] == "Completed"
    assert doc["TrainingJobStatusCounters"] | doc["ObjectiveStatusCounters"] == {
        "Completed": 2, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 2, "Stopped": 0,
        "Succeeded": 2, "Pending": 0, "Failed": 2,
    }  # fmt: skip
    assert doc["BestTrainingJob"]["TunedHyperParameters"] == {"form": "good", "x": "3"}
    failed = trials(service, "grid", StatusEquals="Failed")
    assert len(failed) == 2
    assert all("this form cannot be trained" in row["FailureReason"] for row in failed)
    assert [
        row["TunedHyperParameters"]["form"] for row in trials(service, "grid", SortBy="FinalObjectiveMetricValue")
    ] == ["good"] * 2


def test_a_search_whose_every_trial_fails_gives_up_after_five_and_says_why(account, bucket, service, code):
    limits = {"MaxNumberOfTrainingJobs": 50, "MaxParallelTrainingJobs": 2}
    asked = request("all-bad", bucket, code, static={"form": '"bad"'}, ResourceLimits=limits)
    call(service, "CreateHyperParameterTuningJob", **asked)
    doc = ended(service, "HyperParameterTuning", "all-bad")
    assert doc["HyperParameterTuningJobStatus"] == "Failed"
    assert "No objective metrics found after running" in doc["FailureReason"]
    assert "this form cannot be trained" in doc["FailureReason"]
    assert 5 <= len(trials(service, "all-bad")) <= 6
    assert "BestTrainingJob" not in doc


def test_a_trial_below_the_median_of_those_before_it_is_stopped_early(account, bucket, service, code):
    ranges = forms("good", "slow")
    ranges["CategoricalParameterRanges"].append({"Name": "x", "Values": ["1", "2", "3"]})
    asked = request(
        "early", bucket, code, Strategy="Grid", ParameterRanges=ranges, TrainingJobEarlyStoppingType="Auto",
        ResourceLimits={"MaxParallelTrainingJobs": 1},
    )  # fmt: skip
    call(service, "CreateHyperParameterTuningJob", **asked)
    doc = ended(service, "HyperParameterTuning", "early")  # each slow one alone would take two minutes
    assert doc["HyperParameterTuningJobStatus"] == "Completed"
    assert (doc["TrainingJobStatusCounters"]["Completed"], doc["TrainingJobStatusCounters"]["Stopped"]) == (3, 3)
    stopped = trials(service, "early", StatusEquals="Stopped")
    assert [row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for row in stopped] == [-1000.0] * 3
    assert doc["BestTrainingJob"]["TunedHyperParameters"] == {"form": "good", "x": "3"}


def test_stopping_a_search_stops_its_trials_and_keeps_the_best_so_far(account, bucket, service, code):
    ranges = {"CategoricalParameterRanges": [{"Name": "wait", "Values": ["0", "60", "61", "62"]}]}
    asked = request("stopped", bucket, code, Strategy="Grid", ParameterRanges=ranges,
                    ResourceLimits={"MaxParallelTrainingJobs": 2})  # fmt: skip
    call(service, "CreateHyperParameterTuningJob", **asked)
    until(lambda: len(trials(service, "stopped")) == 3)
    call(service, "StopHyperParameterTuningJob", **{NAME: "stopped"})
    doc = ended(service, "HyperParameterTuning", "stopped")
    assert (doc["HyperParameterTuningJobStatus"], running(service, "stopped")) == ("Stopped", [])
    assert len(trials(service, "stopped")) == 3
    assert doc["BestTrainingJob"]["TunedHyperParameters"] == {"wait": "0"}
    with pytest.raises(AwsError, match="in status Stopped"):
        call(service, "StopHyperParameterTuningJob", **{NAME: "stopped"})


def test_a_search_goes_on_where_it_was_when_the_account_comes_back(account, bucket, room, code):
    first = SageMakerService(room)
    first.start()
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "2", "3"]}]}
    asked = request("away", bucket, code, static={"wait": "0.6"}, Strategy="Grid", ParameterRanges=ranges,
                    ResourceLimits={"MaxParallelTrainingJobs": 1})  # fmt: skip
    call(first, "CreateHyperParameterTuningJob", **asked)
    until(lambda: len(trials(first, "away")) == 2)  # one has ended, one is under way
    before = [row["TrainingJobName"] for row in trials(first, "away")]
    first.stop()

    second = SageMakerService(room)
    second.start()
    try:
        doc = ended(second, "HyperParameterTuning", "away")
        names = [row["TrainingJobName"] for row in trials(second, "away")]
        assert (doc["HyperParameterTuningJobStatus"], names[:2], len(names)) == ("Completed", before, 3)
        assert doc["BestTrainingJob"]["TunedHyperParameters"] == {"x": "3"}
        call(second, "DeleteTrainingJob", TrainingJobName=names[2])  # the search remembers what its jobs came to
        assert (
            call(second, "DescribeHyperParameterTuningJob", **{NAME: "away"})["BestTrainingJob"]
            == doc["BestTrainingJob"]
        )
        call(second, "DeleteHyperParameterTuningJob", **{NAME: "away"})
        with pytest.raises(AwsError, match="Requested resource not found"):
            call(second, "DescribeHyperParameterTuningJob", **{NAME: "away"})
    finally:
        second.stop()


def test_a_search_that_cannot_begin_is_refused_at_once(account, bucket, service, code):
    asked = request("refused", bucket, code)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/nothing-there/"}
    asked["TrainingJobDefinition"]["InputDataConfig"] = [
        {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    ]
    with pytest.raises(AwsError, match="No S3 objects found"):
        call(service, "CreateHyperParameterTuningJob", **asked)
    warm = {"ParentHyperParameterTuningJobs": [{NAME: "old"}], "WarmStartType": "TransferLearning"}
    with pytest.raises(AwsError, match="warm start"):
        call(service, "CreateHyperParameterTuningJob", **request("refused", bucket, code), WarmStartConfig=warm)
    assert (
        call(service, "ListHyperParameterTuningJobs", NameContains="refused")["HyperParameterTuningJobSummaries"] == []
    )


def test_a_caller_without_the_right_to_tune_or_to_hand_over_the_role_is_denied(account, bucket, code):
    iam = account.client("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
    iam.create_role(RoleName="tuning-caller", AssumeRolePolicyDocument=json.dumps(trust))
    jobs = "arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/ours-*"
    allow = {"Effect": "Allow", "Action": "sagemaker:CreateHyperParameterTuningJob", "Resource": jobs}
    caller = account.client("sagemaker", role_arn="arn:aws:iam::123456789012:role/tuning-caller", session_name="s")

    def may(*statements: dict) -> None:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName="tuning-caller", PolicyName="p", PolicyDocument=json.dumps(document))

    may(allow)
    with pytest.raises(Exception, match="CreateHyperParameterTuningJob"):
        caller.create_hyper_parameter_tuning_job(**request("theirs-1", bucket, code))
    with pytest.raises(Exception, match="iam:PassRole"):
        caller.create_hyper_parameter_tuning_job(**request("ours-1", bucket, code))
    may(allow, {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE})
    one = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    caller.create_hyper_parameter_tuning_job(**request("ours-1", bucket, code, ResourceLimits=one))
    operator = account.client("sagemaker")
    until(
        lambda: (
            operator.describe_hyper_parameter_tuning_job(**{NAME: "ours-1"})["HyperParameterTuningJobStatus"]
            == "Completed"
        )
    )
