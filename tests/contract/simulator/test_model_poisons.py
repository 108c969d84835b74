"""Faults ordered for a candidate's models, and what its users see of them: real endpoints, the recommender's own code, no deadline in the way."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from cli.model_faults import ModelFault, cure_faults, order_fault
from cli.site import Problem, Site
from support.kitchen import GREEN, SETTINGS, Clock, Dependencies, traffic, world
from support.sagemaker_room import IMAGE, tar_gz, until
from understudy.adapters.aws_recommend import RecommendWorld
from understudy.adapters.aws_serving import EndpointModels
from understudy.adapters.aws_wire import SignedHttp
from understudy.contracts.serving import RecommendRequest
from understudy.domain.serving import Served

BUCKET, ROLE, STACK = "poison-tests", "poison-tests", "poisoned"
CODE = """
import json, os
def model_fn(model_dir):
    return open(os.path.join(model_dir, "name")).read()
def predict_fn(data, name):
    if "users" in str(data):
        return {"tower_id": "tower-" + name, "vectors": [[0.125] * 64]}
    return {"ranker_id": "ranker-" + name, "scores": [1.0 / (row + 2) for row in range(data.count("\\n"))]}
def input_fn(body, content_type):
    return body.decode()
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
RIGHTS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}]}


@pytest.fixture(scope="module")
def site(account: Any) -> Iterator[Site]:
    """Two endpoints with a champion in blue and a candidate in green, as a rollout leaves them."""
    s3, iam, sagemaker = account.client("s3"), account.client("iam"), account.client("sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="s3", PolicyDocument=json.dumps(RIGHTS))
    for endpoint in (f"{STACK}-two-tower", f"{STACK}-ranker"):
        variants = []
        for slot in ("blue", "green"):
            model = f"{endpoint}-r-{slot}"
            body = tar_gz({"name": f"r-{slot}", "code/inference.py": CODE})
            s3.put_object(Bucket=BUCKET, Key=f"{model}/model.tar.gz", Body=body)
            container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/{model}/model.tar.gz"}
            sagemaker.create_model(ModelName=model, ExecutionRoleArn=role, PrimaryContainer=container)
            variants.append({"VariantName": slot, "ModelName": model, "InstanceType": "ml.m5.large"})
            variants[-1] |= {"InitialInstanceCount": 1, "InitialVariantWeight": 1.0}
        sagemaker.create_endpoint_config(EndpointConfigName=f"{endpoint}-c", ProductionVariants=variants)
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-c")
    for endpoint in (f"{STACK}-two-tower", f"{STACK}-ranker"):
        until(lambda name=endpoint: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", account.endpoint_url)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name, value in account.identities.operator.environment().items():
            patch.setenv(name, value)
        yield Site(boto3.Session(), STACK)
    for endpoint in (f"{STACK}-two-tower", f"{STACK}-ranker"):
        sagemaker.delete_endpoint(EndpointName=endpoint)


@pytest.fixture
def recommender(site: Site) -> Iterator[RecommendWorld]:
    """The recommender with half of the users on the candidate; time enough that only faults fail it."""
    dependencies = Dependencies(Clock())
    settings = replace(SETTINGS, deadline_ms=20_000)
    made = world(traffic(candidate=GREEN, share_bp=5000), dependencies, settings)
    models = EndpointModels(SignedHttp(), f"{STACK}-two-tower", f"{STACK}-ranker")
    yield replace(made, kitchen=replace(made.kitchen, models=models), clock=time.monotonic)
    cure_faults(site, "r-green")
    cure_faults(site, "r-blue")


def ask(recommender: RecommendWorld, count: int) -> list[Served]:
    """Answers to so many different users; one that raised would be a client's error and fails the test."""
    return [
        recommender.answer(RecommendRequest(user_id=f"user-{number}", k=10), recommender.deadline())[0]
        for number in range(count)
    ]


def told(answers: list[Served]) -> Counter[tuple[str, str, bool]]:
    """(arm as assigned, who answered, whether it counts as the assigned release's error) of each answer."""
    return Counter((one.assignment.arm, one.standing.release, one.assigned_error is not None) for one in answers)


def test_five_percent_of_5xx_reach_no_client_and_all_count_against_the_candidate(site, recommender):
    order_fault(site, "r-green", ModelFault("errors"))
    answers = ask(recommender, 400)
    counts = told(answers)
    assert all(len(one.slate.items) == 10 and not one.trace.degraded for one in answers)
    assert 1 <= counts["candidate", "r-blue", True] <= 30
    assert (
        counts["champion", "r-blue", False] + counts["candidate", "r-green", False]
        == 400 - counts["candidate", "r-blue", True]
    )
    assert all("HTTP 424" in str(one.assigned_error) for one in answers if one.assigned_error)


def test_scores_that_are_not_numbers_are_the_candidates_error_and_the_champion_answers_whole(site, recommender):
    order_fault(site, "r-green", ModelFault("nan_scores"))
    answers = ask(recommender, 60)
    assert set(told(answers)) == {("champion", "r-blue", False), ("candidate", "r-blue", True)}
    assert not any(one.trace.degraded for one in answers)
    assert {one.slate.items[0]["score"] for one in answers} == {0.5}, "the champion's own scores"


def test_vectors_that_are_not_numbers_never_meet_an_index(site, recommender):
    order_fault(site, "r-green", ModelFault("nan_scores", part="two-tower"))
    answers = ask(recommender, 40)
    assert set(told(answers)) == {("champion", "r-blue", False), ("candidate", "r-blue", True)}
    assert all("finite" in str(one.assigned_error) for one in answers if one.assignment.arm == "candidate")


def test_a_candidate_that_answers_too_late_is_not_waited_for(site, recommender):
    order_fault(site, "r-green", ModelFault("slow", delay_ms=60_000))
    hasty = replace(recommender, settings=replace(recommender.settings, deadline_ms=3000))
    answers = ask(hasty, 8)
    assert set(told(answers)) <= {("champion", "r-blue", False), ("candidate", "r-blue", True)}
    assert any(one.assigned_error for one in answers)
    assert all(len(one.slate.items) == 10 for one in answers)


@pytest.mark.parametrize("part", ["ranker", "two-tower"])
def test_a_candidates_process_that_is_killed_fails_no_request_and_comes_back(site, recommender, part):
    answers = ask(recommender, 20)
    order_fault(site, "r-green", ModelFault("kill", part))
    answers += ask(recommender, 60)
    assert all(len(one.slate.items) == 10 and not one.trace.degraded for one in answers)
    assert {one.standing.release for one in answers if one.assignment.arm == "champion"} == {"r-blue"}
    until(lambda: told(ask(recommender, 4)).keys() & {("candidate", "r-green", False)})


def test_a_champions_process_that_is_killed_costs_a_step_and_never_an_answer(site, recommender):
    order_fault(site, "r-blue", ModelFault("kill"))
    answers = ask(recommender, 60)
    assert all(len(one.slate.items) == 10 for one in answers)
    assert {step for one in answers for step in one.trace.degraded} <= {"ranker"}
    until(lambda: not any(one.trace.degraded for one in ask(recommender, 4)))


def test_a_cured_candidate_answers_its_users_again(site, recommender):
    order_fault(site, "r-green", ModelFault("errors", share=1.0))
    assert ("candidate", "r-green", False) not in told(ask(recommender, 20))
    cure_faults(site, "r-green")
    assert set(told(ask(recommender, 20))) == {("champion", "r-blue", False), ("candidate", "r-green", False)}


def test_no_role_orders_a_fault_and_an_order_that_means_nothing_is_refused(site, account):
    role = f"arn:aws:iam::123456789012:role/{ROLE}"
    keys = account.credentials_for(role, "test")
    session = boto3.Session(keys.access_key_id, keys.secret_access_key, keys.session_token)
    with pytest.raises(Problem, match=r"answered 403|answered 400"):
        order_fault(Site(session, STACK), "r-green", ModelFault("errors"))
    for wrong in (ModelFault("errors", share=2.0), ModelFault("slow", delay_ms=-1)):
        with pytest.raises(Problem, match="expected 0"):
            order_fault(site, "r-green", wrong)
    with pytest.raises(Problem, match="does not run"):
        order_fault(Site(site.session, "nowhere"), "r-green", ModelFault("errors"))
    elsewhere = SimpleNamespace(
        stack=STACK,
        client=lambda _: SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://runtime.us-east-1.amazonaws.com")),
    )
    with pytest.raises(Problem, match="local account only"):
        order_fault(elsewhere, "r-green", ModelFault("errors"))  # type: ignore[arg-type]
