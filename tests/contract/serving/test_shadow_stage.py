"""A rehearsal on the local account: two releases behind two real endpoints and indices, a queue, and the rows that come of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from support.doors import CONTEXT, load_door
from support.releases import release
from support.sagemaker_room import IMAGE, tar_gz, until
from understudy.adapters.aws import DynamoReleases, DynamoTraffic
from understudy.adapters.aws_items import to_item
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.adapters.aws_recommend import recommend_world
from understudy.adapters.aws_replay import replay_world
from understudy.adapters.aws_wire import SignedHttp
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.shadow import shadow_sums
from understudy.settings import RecommendSettings, ReplayShadowSettings

BLUE, GREEN = Standing(release="r-blue", slot="blue"), Standing(release="r-green", slot="green")
# The champion knows items 0 to 19 and the candidate 0 to 14; both rank the highest first, so of ten places five are alike.
KNOWN = {"r-blue": 20, "r-green": 15}
INFERENCE = """
import json, os
def model_fn(model_dir):
    return open(os.path.join(model_dir, "name")).read()
def input_fn(body, content_type):
    return body.decode()
def predict_fn(data, model):
    if model.startswith("tower"):
        return {"tower_id": model, "vectors": [[1.0] + [0.0] * 63]}
    return {"ranker_id": model, "scores": [float(row) for row in data.splitlines()]}
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
RIGHTS = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class Theatre:
    """Names of a stage of this test's own."""

    account: Any
    http: SignedHttp
    name: str
    queue_url: str

    def settings(self) -> dict[str, str]:
        return {
            "traffic_table": f"{self.name}-traffic",
            "releases_table": f"{self.name}-releases",
            "two_tower_endpoint": f"{self.name}-tower",
            "ranker_endpoint": f"{self.name}-ranker",
            "opensearch_url": f"{self.account.endpoint_url}/opensearch/{self.name}",
        }


def build_indices(theatre: Theatre) -> None:
    for release_id, known in KNOWN.items():
        url = f"{theatre.settings()['opensearch_url']}/items-{release_id}"
        keyword, number = {"type": "keyword"}, {"type": "float"}
        method = {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"}
        vector = {"type": "knn_vector", "dimension": 64, "method": method}
        fields = {"item_id": keyword, "item_topic": keyword, "item_author_id": keyword, "item_ctr_7d": number}
        body: Any = {"settings": {"index": {"knn": True}}, "mappings": {"properties": {**fields, "vector": vector}}}
        send(theatre, "PUT", url, json.dumps(body))
        lines = []
        for n in range(known):
            document = {"item_id": f"i-{n}", "item_topic": f"t{n % 2}", "item_author_id": f"a{n}", "item_ctr_7d": n}
            lines += [{"index": {"_id": f"i-{n}"}}, {**document, "vector": [1.0] + [0.0] * 63}]
        send(theatre, "POST", f"{url}/_bulk", "".join(json.dumps(line) + "\n" for line in lines))
        send(theatre, "POST", f"{url}/_refresh", "")


def send(theatre: Theatre, method: str, url: str, body: str) -> None:
    headers = {"content-type": "application/json"}
    answer = theatre.http.send(method, url, body.encode(), headers, signing_name="es", timeout_s=10.0)
    assert answer.status == 200, answer.body


def build_endpoints(theatre: Theatre) -> None:
    account, name = theatre.account, theatre.name
    iam, s3, sagemaker = account.client("iam"), account.client("s3"), account.client("sagemaker")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=json.dumps(RIGHTS))
    s3.create_bucket(Bucket=name)
    for kind in ("tower", "ranker"):
        variants = []
        for standing in (BLUE, GREEN):
            model, key = f"{name}-{kind}-{standing.slot}", f"{kind}/{standing.slot}/model.tar.gz"
            files = {"name": f"{kind}-{standing.release}", "code/inference.py": INFERENCE}
            s3.put_object(Bucket=name, Key=key, Body=tar_gz(files))
            container = {"Image": IMAGE, "ModelDataUrl": f"s3://{name}/{key}"}
            sagemaker.create_model(ModelName=model, ExecutionRoleArn=role, PrimaryContainer=container)
            variant = {"VariantName": standing.slot, "ModelName": model, "InstanceType": "ml.m5.large"}
            variants.append({**variant, "InitialInstanceCount": 1, "InitialVariantWeight": 1.0})
        config = f"{name}-{kind}"
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=variants)
        sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    for kind in ("tower", "ranker"):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=f"{name}-{kind}", WaiterConfig={"Delay": 1})


def build_tables(theatre: Theatre) -> None:
    dynamodb, name = theatre.account.client("dynamodb"), theatre.name
    keys = {"traffic": ["id"], "releases": ["release_id"], "users": ["user_id"], "outcomes": ["pk", "sk"]}
    for table, names in keys.items():
        schema = [{"AttributeName": key, "KeyType": kind} for key, kind in zip(names, ("HASH", "RANGE"), strict=False)]
        attributes = [{"AttributeName": key, "AttributeType": "S"} for key in names]
        given: Any = {"KeySchema": schema, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"}
        dynamodb.create_table(TableName=f"{name}-{table}", **given)
    releases = DynamoReleases(dynamodb, f"{name}-releases")
    for release_id in KNOWN:
        columns = [("item_ctr_7d", "number", 0)]
        ids = {"tower_id": f"tower-{release_id}", "ranker_id": f"ranker-{release_id}"}
        fields = ["item_id", "item_topic", "item_author_id", "item_ctr_7d"]
        releases.register(release(release_id, ranker_columns=columns, item_fields=fields, **ids))
    at = datetime.now(UTC)
    rehearsal = {"champion": BLUE, "candidate": GREEN, "shadow_bp": 10_000, "changed_at": at}
    traffic = Traffic.model_validate({"change_id": "c", "salt": "s", "reason": "test", **rehearsal})
    DynamoTraffic(dynamodb, f"{name}-traffic").replace(None, traffic, 0)
    features = to_item({"user_id": "u-1", "features": {"age": 31, "seen": ["i-19"]}})
    dynamodb.put_item(TableName=f"{name}-users", Item=features)


@pytest.fixture(scope="module")
def theatre(account: Any) -> Iterator[Theatre]:
    name = f"shadow-{uuid.uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        for key, value in account.identities.operator.environment().items():
            patch.setenv(key, value)
        patch.setenv("AWS_ENDPOINT_URL", account.endpoint_url)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # an earlier test's, with other keys
        queue_url = account.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        made = Theatre(account, SignedHttp(), name, queue_url)
        build_indices(made)
        build_tables(made)
        build_endpoints(made)
        yield made
        sagemaker = account.client("sagemaker")
        for kind in ("tower", "ranker"):
            sagemaker.delete_endpoint(EndpointName=f"{name}-{kind}")
        until(lambda: not sagemaker.list_endpoints(NameContains=name)["Endpoints"])


def test_copies_of_requests_come_back_as_rows_of_the_candidate(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users' requests, one copy delivered twice: sums by release, and users who saw the champion only."""
    account, given = theatre.account, theatre.settings()
    asked = {"user_features_table": f"{theatre.name}-users", "served_stream": "none", "token_secret_arn": "none"}
    patient = {"deadline_ms": 20_000, "exploration_bp": 0, "shadow_queue_url": theatre.queue_url}
    recommend, door = load_door("recommend"), load_door("replay_shadow")
    settings: Any = {**given, **asked, **patient}
    asks = recommend_world(RecommendSettings(**settings), theatre.http)
    monkeypatch.setattr(recommend, "world", lambda: asks)
    for user in ("u-1", "u-2"):
        answer = recommend.handler({"body": json.dumps({"user_id": user, "k": 10})}, CONTEXT)
        body = json.loads(answer["body"])
        first = 18 if user == "u-1" else 19  # u-1 has seen 19
        assert (answer["statusCode"], body["release_id"]) == (200, "r-blue")
        assert [item["item_id"] for item in body["items"]] == [f"i-{n}" for n in range(first, first - 10, -1)]

    sqs = account.client("sqs")
    messages: list[dict[str, Any]] = []
    while len(messages) < 2:
        messages += sqs.receive_message(QueueUrl=theatre.queue_url, WaitTimeSeconds=5).get("Messages", [])
    replay: Any = {**given, "outcomes_table": f"{theatre.name}-outcomes", "deadline_ms": 20_000}
    plays = replay_world(ReplayShadowSettings(**replay), theatre.http)
    monkeypatch.setattr(door, "world", lambda: plays)
    records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in messages]
    assert door.handler({"Records": [*records, records[0]]}, CONTEXT) == {"batchItemFailures": []}

    outcomes, now = DynamoOutcomes(account.client("dynamodb"), f"{theatre.name}-outcomes"), datetime.now(UTC)
    found = outcomes.outcomes_since(["shadow#r-green", "r-green"], [1], now - timedelta(hours=1), now)
    sums = shadow_sums(found["shadow#r-green"])
    assert (sums.requests, sums.errors, sums.champion_errors, sums.compared) == (2, 0, 0, 2)
    assert sums.mean_overlap == pytest.approx((0.6 + 0.5) / 2)  # of 9..18 the candidate shows 9..14, of 10..19 10..14
    assert found["r-green"] == {}
