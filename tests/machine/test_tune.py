"""The tune machine by named paths: every Choice both ways, every Catch, every Retry."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine
from support.doors import golden

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "tune.asl.yaml")
SUBSTITUTIONS = {name: f"the-{name}" for name in definitions.placeholders(MACHINE)}
RANKER = golden("adopt_parameters/better")["search"]
TOWER = {**RANKER, "model": "two_tower", "name": "two-tower-1234abcd", "metric": "recall_at_50"}
PLAN = {
    "models": [TOWER, RANKER],
    "nothing": "",
    "release_id": "r-20261123-0a1b2c3d",
    "prepared_uri": "s3://b/work/prepare_data/0",
    "warm_uri": "s3://b/work/two_tower/0/j/output/model.tar.gz",
    "code_uri": "s3://b/code/0",
    "wheelhouse_uri": "s3://b/wheelhouse/",
}
BEST = golden("adopt_parameters/better")["best"]
TRAINED = {"ModelArtifacts": {"S3ModelArtifacts": "s3://b/work/ranker/1/j/output/model.tar.gz"}}
ADOPTED = {"model": "ranker", "adopted": True, "reason": "better"}
BROKEN_JOB = {"Error": "States.TaskFailed", "Cause": '{"FailureReason": "No objective metrics found"}'}
THROTTLED = {"Error": "SageMaker.AmazonSageMakerException", "Cause": "Rate exceeded"}
NO_ROOM = {"Error": "SageMaker.ResourceLimitExceededException", "Cause": "The account-level service limit was reached"}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
BROKEN_DOOR = {"Error": "ValidationError", "Cause": "no"}
DOORS = ["PlanTuning", "FindToday", "AdoptParameters"]
JOBS = ["TrainToday", "SearchParameters", "CompareParameters"]
ENDS = {"PlanTuning": "TuningNotPlanned"}  # of every other state: SearchFailed, and then the machine


def answers(**more):
    """Of one model's search, each at the first attempt."""
    plan = {**PLAN, "models": [RANKER]}
    given = {
        "PlanTuning": [{"Payload": plan}],
        "FindToday": [{"Payload": {"finished": False}}],
        "TrainToday": [TRAINED],
        "SearchParameters": [{"BestTrainingJob": BEST}],
        "CompareParameters": [{}],
        "AdoptParameters": [{"Payload": ADOPTED}],
    }
    return {name: value for name, value in {**given, **more}.items() if value is not None}


def run(given, **more):
    return run_machine(MACHINE, input={"reason": "schedule"}, answers=given, substitutions=SUBSTITUTIONS, **more)


def of_both(**more):
    """The same for both models, one after the other."""
    twice = {name: value * 2 for name, value in answers().items() if name != "PlanTuning"}
    return {**twice, "PlanTuning": [{"Payload": PLAN}], **more}


def test_both_models_are_searched_one_after_the_other_and_the_end_tells_what_was_adopted():
    kept = {"model": "two_tower", "adopted": False, "reason": "not shown to be better"}
    tune = run(of_both(AdoptParameters=[{"Payload": kept}, {"Payload": ADOPTED}]))
    assert (tune.status, tune.path[-1]) == ("SUCCEEDED", "Tuned")
    assert [state for state in tune.path if state in JOBS] == JOBS * 2
    assert tune.output == {"release_id": PLAN["release_id"], "models": [kept, ADOPTED]}


def test_one_model_alone_is_still_a_list():
    tune = run(answers())
    assert tune.output == {"release_id": PLAN["release_id"], "models": [ADOPTED]}


def test_nothing_to_search_is_no_failure_and_says_why():
    tune = run({"PlanTuning": [{"Payload": {**PLAN, "models": [], "nothing": "no release yet"}}]})
    assert (tune.status, tune.path[-1]) == ("SUCCEEDED", "NothingToTune")
    assert tune.output == {"models": [], "nothing": "no release yet"}


def test_todays_training_that_is_there_is_not_done_again_and_is_what_is_compared():
    there = {"finished": True, "model": "s3://b/work/ranker/old/j/output/model.tar.gz"}
    tune = run(answers(FindToday=[{"Payload": there}], TrainToday=None))
    assert "TrainToday" not in tune.path
    inputs = {
        each["InputName"]: each["S3Input"]["S3Uri"]
        for each in tune.arguments["CompareParameters"][0]["ProcessingInputs"]
    }
    assert inputs["today"] == there["model"]
    assert inputs["tuned"] == f"{RANKER['trials_uri']}/{BEST['TrainingJobName']}/output/model.tar.gz"
    assert inputs["prepared"] == PLAN["prepared_uri"]


def test_trials_and_todays_training_get_the_same_data_and_only_towers_start_warm():
    tune = run(of_both())
    for index, channels in enumerate([["prepared", "wheelhouse", "warm"], ["prepared", "wheelhouse"]]):
        today, search = tune.arguments["TrainToday"][index], tune.arguments["SearchParameters"][index]
        definition = search["TrainingJobDefinition"]
        assert [each["ChannelName"] for each in definition["InputDataConfig"]] == channels
        assert today["InputDataConfig"] == definition["InputDataConfig"]
        assert today["AlgorithmSpecification"] == definition["AlgorithmSpecification"]
    (metric,) = definition["AlgorithmSpecification"]["MetricDefinitions"]
    assert metric == {"Name": "validation_auc", "Regex": r"(?:^|\s)validation_auc=([0-9.eE+-]+);"}
    assert search["HyperParameterTuningJobConfig"] == RANKER["config"]


def test_without_a_champion_nothing_starts_warm():
    tune = run(answers(PlanTuning=[{"Payload": {**PLAN, "models": [TOWER], "warm_uri": ""}}]))
    assert len(tune.arguments["TrainToday"][0]["InputDataConfig"]) == 2


def test_job_names_carry_redrive_and_retry_and_fit():
    tune = run(answers(SearchParameters=[THROTTLED, {"BestTrainingJob": BEST}]), redrives=2)
    names = [each["HyperParameterTuningJobName"] for each in tune.arguments["SearchParameters"]]
    assert names == [f"{RANKER['name']}-2-0", f"{RANKER['name']}-2-1"]
    assert max(map(len, names)) <= 32
    assert tune.arguments["CompareParameters"][0]["ProcessingJobName"] == f"compare-{RANKER['name']}-2-0"


@pytest.mark.parametrize("state", [*DOORS, *JOBS])
def test_whatever_fails_ends_the_machine_with_its_reason(state):
    broken = BROKEN_DOOR if state in DOORS else BROKEN_JOB
    tune = run(answers(**{state: [broken]}))
    assert tune.status == "FAILED"
    assert ENDS.get(state, "SearchFailed") in tune.path
    assert broken["Cause"] in (tune.cause or "")


def test_one_models_failure_leaves_the_other_its_search():
    tune = run(
        of_both(
            SearchParameters=[BROKEN_JOB, {"BestTrainingJob": BEST}],
            CompareParameters=[{}],
            AdoptParameters=[{"Payload": ADOPTED}],
        )
    )
    assert (tune.status, tune.error) == ("FAILED", "SearchFailed")
    assert tune.path.count("SearchParameters") == 2
    assert "AdoptParameters" in tune.path
    assert (tune.cause or "").startswith("two_tower: States.TaskFailed: ")


@pytest.mark.parametrize(
    ("state", "trouble"), [*((d, BUSY) for d in DOORS), *((j, e) for j in JOBS for e in (NO_ROOM, THROTTLED))]
)
def test_a_passing_trouble_is_waited_out(state, trouble):
    tune = run(answers(**{state: [trouble, *answers()[state]]}))
    assert tune.status == "SUCCEEDED"
    assert tune.path.count(state) == 1


def test_every_decision_of_the_machine_is_taken_both_ways():
    runs = [run(answers()), run({"PlanTuning": [{"Payload": {**PLAN, "models": []}}]})]
    runs += [run(answers(FindToday=[{"Payload": {"finished": True, "model": "s3://b/m"}}], TrainToday=None))]
    runs += [run(answers(**{state: [BROKEN_DOOR if state in DOORS else BROKEN_JOB]})) for state in [*DOORS, *JOBS]]
    for state in DOORS:
        runs.append(run(answers(**{state: [BUSY, *answers()[state]]})))
    for state in JOBS:
        runs += [run(answers(**{state: [error, *answers()[state]]})) for error in (NO_ROOM, THROTTLED)]
    assert missing_decisions(MACHINE, runs) == []
