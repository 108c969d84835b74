from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

import psutil
import pytest

from local_account.sagemaker.service import SageMakerService
from local_account.sagemaker.shapes import output_members
from local_account.wire import AwsError
from tests.support.sagemaker_room import OwnFolder, call, invoke, put_config, put_model, settled, until

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://sagemaker-tests/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}


def ask(service: SageMakerService, endpoint: str, body: bytes = b"1,2", **headers: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(invoke(service, endpoint, body, **headers).body)
    return answer


@pytest.fixture
def pair(account: Any, bucket: str, service: SageMakerService) -> str:
    """An endpoint with two variants, in service."""
    models = {
        "blue": put_model(service, account, bucket, "first"),
        "green": put_model(service, account, bucket, "second"),
    }
    put_config(service, "c1", models)
    call(service, "CreateEndpoint", EndpointName="pair", EndpointConfigName="c1")
    assert settled(service, "pair")["EndpointStatus"] == "InService"
    return "pair"


def test_a_variant_is_chosen_by_name_or_by_weight(service, room, pair):
    response = invoke(service, pair, b"1,2", TargetVariant="green")
    assert response.headers == {"content-type": "application/json", "x-amzn-invoked-production-variant": "green"}
    assert json.loads(response.body)["model"] == "second"
    assert {ask(service, pair)["model"] for _ in range(40)} == {"first", "second"}
    weights = [{"VariantName": "blue", "DesiredWeight": 0.0}, {"VariantName": "green", "DesiredWeight": 5.0}]
    call(service, "UpdateEndpointWeightsAndCapacities", EndpointName=pair, DesiredWeightsAndCapacities=weights)
    doc = settled(service, pair)
    assert {row["VariantName"]: row["CurrentWeight"] for row in doc["ProductionVariants"]} == {
        "blue": 0.0,
        "green": 5.0,
    }
    assert {ask(service, pair)["model"] for _ in range(20)} == {"second"}
    assert ask(service, pair, TargetVariant="blue")["model"] == "first"
    assert set(doc) <= output_members("DescribeEndpoint")
    told = [detail["EndpointStatus"] for kind, detail in room.events if kind == "SageMaker Endpoint State Change"]
    assert told == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE"]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        pytest.param(b"1", "text/plain", 400, "expected text/csv", id="the container refuses"),
        pytest.param(b"boom", "text/csv", 500, "KeyError", id="the container fails"),
        pytest.param(b"die", "text/csv", 503, "closed the connection", id="the container dies"),
    ],
)
def test_what_a_container_answers_badly_is_a_model_error(service, room, pair, body, content_type, status, said):
    with pytest.raises(AwsError) as error:
        invoke(service, pair, body, content_type, TargetVariant="blue")
    assert (error.value.code, error.value.status, error.value.extra["OriginalStatusCode"]) == (
        "ModelError",
        424,
        status,
    )
    assert said in error.value.extra["OriginalMessage"]
    counted = {metric: value for _, metric, value, _ in room.counted}
    assert counted["Invocation4XXErrors"] == float(status == 400)
    assert counted["Invocation5XXErrors"] == float(status != 400)
    assert {frozenset(d.items()) for *_, d in room.counted} == {
        frozenset({("EndpointName", pair), ("VariantName", "blue")})
    }


def test_what_the_caller_asks_wrongly_is_a_validation_error(service, pair):
    for endpoint, headers in (("nobody", {}), (pair, {"TargetVariant": "red"}), (pair, {"InferenceId": "x" * 65})):
        with pytest.raises(AwsError) as error:
            invoke(service, endpoint, b"1", **headers)
        assert (error.value.code, error.value.status) == ("ValidationError", 400)
    assert ask(service, pair, InferenceId="x" * 64)["echo"] == "1,2"


def test_a_killed_worker_serves_again_and_the_endpoint_stays_in_service(service, pair):
    killed = ask(service, pair, TargetVariant="blue")["pid"]
    os.kill(killed, signal.SIGKILL)

    refused: set[int] = set()

    def served() -> Any:
        try:
            return ask(service, pair, TargetVariant="blue")["pid"] != killed
        except AwsError as error:
            refused.add(error.extra["OriginalStatusCode"])
            return False

    until(served)
    assert refused == {503}
    assert ask(service, pair, TargetVariant="green")["model"] == "second"
    assert call(service, "DescribeEndpoint", EndpointName=pair)["EndpointStatus"] == "InService"


def test_a_killed_server_comes_back_with_its_workers(service, pair):
    os.kill(psutil.Process(ask(service, pair)["pid"]).ppid(), signal.SIGKILL)

    refused: set[str] = set()

    def served() -> Any:
        try:
            return ask(service, pair, TargetVariant="green")
        except AwsError as error:
            refused.add(error.code)
            return None

    assert until(served)["model"] == "second"
    assert refused <= {"ServiceUnavailable", "ValidationError", "ModelError"}


def test_an_update_fails_no_call_and_leaves_an_untouched_variant_its_worker(account, bucket, service, pair):
    before = {variant: ask(service, pair, TargetVariant=variant)["pid"] for variant in ("blue", "green")}
    put_config(service, "c2", {"blue": "first", "green": put_model(service, account, bucket, "third")})
    failures: list[BaseException] = []
    over = threading.Event()

    def call_on() -> None:
        while not over.is_set():
            try:
                ask(service, pair)
            except BaseException as error:  # noqa: BLE001 - counted
                failures.append(error)

    callers = [threading.Thread(target=call_on) for _ in range(2)]
    for caller in callers:
        caller.start()
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c2")
    with pytest.raises(AwsError, match="Cannot update in-progress endpoint"):
        call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c1")
    doc = settled(service, pair)
    until(lambda: not _alive(before["green"]))
    over.set()
    for caller in callers:
        caller.join()
    assert failures == []
    assert (doc["EndpointStatus"], doc["EndpointConfigName"]) == ("InService", "c2")
    assert ask(service, pair, TargetVariant="green")["model"] == "third"
    assert ask(service, pair, TargetVariant="blue")["pid"] == before["blue"]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_update_whose_model_does_not_serve_ends_in_service_with_the_old_config_and_the_reason(
    account, bucket, service, room, pair
):
    put_config(service, "c3", {"blue": "first", "green": put_model(service, account, bucket, "broken")})
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c3")
    doc = settled(service, pair)
    assert (doc["EndpointStatus"], doc["EndpointConfigName"]) == ("InService", "c1")
    assert "production variant green did not pass the ping health check" in doc["FailureReason"]
    assert ask(service, pair, TargetVariant="green")["model"] == "second"
    assert "ROLLING_BACK" in [detail.get("EndpointStatus") for _, detail in room.events]
    put_config(service, "c4", {"blue": "first"})
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c4")
    assert "FailureReason" not in settled(service, pair)


def test_an_endpoint_that_never_serves_is_failed_and_can_only_be_deleted(account, bucket, service):
    put_config(service, "c5", {"blue": put_model(service, account, bucket, "broken-2")})
    call(service, "CreateEndpoint", EndpointName="e5", EndpointConfigName="c5")
    doc = settled(service, "e5")
    assert (doc["EndpointStatus"], "ping health check" in doc["FailureReason"]) == ("Failed", True)
    with pytest.raises(AwsError, match="Cannot update endpoint"):
        call(service, "UpdateEndpoint", EndpointName="e5", EndpointConfigName="c5")
    call(service, "DeleteEndpoint", EndpointName="e5")
    until(lambda: call(service, "ListEndpoints")["Endpoints"] == [])


def test_weights_are_kept_by_an_update_that_is_told_to(service, pair):
    rows = [{"VariantName": "green", "DesiredWeight": 7.0}]
    call(service, "UpdateEndpointWeightsAndCapacities", EndpointName=pair, DesiredWeightsAndCapacities=rows)
    settled(service, pair)
    put_config(service, "c6", {"blue": "first", "green": "second"})
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c6", RetainAllVariantProperties=True)
    doc = settled(service, pair)
    assert {row["VariantName"]: row["CurrentWeight"] for row in doc["ProductionVariants"]} == {
        "blue": 1.0,
        "green": 7.0,
    }


def test_counts_change_with_the_weights_and_are_kept_by_an_update_that_is_told_to(service, pair):
    rows = [{"VariantName": "green", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}]
    call(service, "UpdateEndpointWeightsAndCapacities", EndpointName=pair, DesiredWeightsAndCapacities=rows)
    assert settled(service, pair)["EndpointConfigName"] == "c1"
    put_config(service, "c7", {"blue": "first", "green": "second"}, DataCaptureConfig=CAPTURE)
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c7", RetainAllVariantProperties=True)
    counts = {row["VariantName"]: row["CurrentInstanceCount"] for row in settled(service, pair)["ProductionVariants"]}
    assert counts == {"blue": 1, "green": 3}
    rows[0]["DesiredInstanceCount"] = 0
    with pytest.raises(AwsError, match="at least 1"):
        call(service, "UpdateEndpointWeightsAndCapacities", EndpointName=pair, DesiredWeightsAndCapacities=rows)


def test_whatever_is_asked_while_an_endpoint_updates_is_refused(service, pair):
    put_config(service, "c8", {"blue": "first", "green": "first"})
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c8")
    rows = [{"VariantName": "green", "DesiredWeight": 0.5}]
    for action, params in (
        ("UpdateEndpointWeightsAndCapacities", {"DesiredWeightsAndCapacities": rows}),
        ("UpdateEndpoint", {"EndpointConfigName": "c1"}),
        ("DeleteEndpoint", {}),
    ):
        with pytest.raises(AwsError, match="Cannot update in-progress endpoint"):
            call(service, action, EndpointName=pair, **params)
    pending = call(service, "DescribeEndpoint", EndpointName=pair).get("PendingDeploymentSummary")
    assert pending is None or pending["EndpointConfigName"] == "c8"
    assert settled(service, pair)["EndpointConfigName"] == "c8"


def test_a_variant_that_is_registered_for_scaling_may_not_leave_until_it_is_deregistered(account, service, pair):
    scaling = account.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{pair}/variant/green",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    put_config(service, "c9", {"blue": "first"})
    with pytest.raises(AwsError, match='"\\[green\\]" must be deregistered as scalable targets'):
        call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c9")
    scaling.deregister_scalable_target(**target)
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c9")
    assert settled(service, pair)["EndpointConfigName"] == "c9"


def test_an_endpoint_comes_back_with_the_account_without_its_config_and_models(account, bucket, service, room, pair):
    call(service, "DeleteEndpointConfig", EndpointConfigName="c1")
    call(service, "DeleteModel", ModelName="first")
    service.stop()
    again = SageMakerService(OwnFolder(account, room.state_dir))
    again.start()
    try:
        assert settled(again, pair)["EndpointStatus"] == "InService"
        assert ask(again, pair, TargetVariant="blue")["model"] == "first"
    finally:
        again.stop()


def test_names_in_use_and_unknown_names_are_refused(service, pair):
    with pytest.raises(AwsError, match="Cannot create already existing endpoint configuration"):
        put_config(service, "c1", {"blue": "first"})
    with pytest.raises(AwsError, match="Cannot create already existing endpoint "):
        call(service, "CreateEndpoint", EndpointName=pair, EndpointConfigName="c1")
    with pytest.raises(AwsError, match="Could not find endpoint configuration"):
        call(service, "CreateEndpoint", EndpointName="other", EndpointConfigName="none")
    with pytest.raises(AwsError, match='Could not find endpoint "arn:aws:sagemaker'):
        call(service, "DescribeEndpoint", EndpointName="other")


def test_captured_rows_reach_s3_with_ids_and_encodings_when_the_account_stops(account, bucket, service):
    put_config(
        service,
        "c7",
        {"blue": put_model(service, account, bucket, "seventh")},
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{bucket}/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        },
    )
    call(service, "CreateEndpoint", EndpointName="e7", EndpointConfigName="c7")
    assert settled(service, "e7")["DataCaptureConfig"]["CaptureStatus"] == "Started"
    for number in range(5):
        invoke(service, "e7", f"{number},x".encode(), InferenceId=f"id-{number}")
    with pytest.raises(AwsError):
        invoke(service, "e7", b"boom")
    service.stop()
    s3 = account.client("s3")
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=bucket, Prefix="capture/e7/blue/")["Contents"]]
    lines = [
        json.loads(line) for key in keys for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    ]
    assert [line["eventMetadata"]["inferenceId"] for line in lines] == [f"id-{number}" for number in range(5)]
    side = lines[0]["captureData"]["endpointInput"]
    assert side == {"observedContentType": "text/csv", "mode": "INPUT", "data": "0,x", "encoding": "CSV"}
    output = lines[0]["captureData"]["endpointOutput"]
    assert (output["mode"], output["encoding"], json.loads(output["data"])["echo"]) == ("OUTPUT", "JSON", "0,x")
    assert lines[0]["eventVersion"] == "0"


def test_an_update_under_way_when_the_account_ends_is_finished_by_the_next_one(account, bucket, service, room, pair):
    put_config(service, "c8", {"blue": "first", "green": put_model(service, account, bucket, "eighth")})
    call(service, "UpdateEndpoint", EndpointName=pair, EndpointConfigName="c8")
    service.stop()
    again = SageMakerService(OwnFolder(account, room.state_dir))
    again.start()
    try:
        doc = settled(again, pair)
        assert (doc["EndpointStatus"], doc["EndpointConfigName"]) == ("InService", "c8"), doc.get("FailureReason")
        assert ask(again, pair, TargetVariant="green")["model"] == "eighth"
    finally:
        again.stop()


def test_boto3_invokes_over_the_wire_and_reads_a_model_error(account, bucket):
    wire = account.service("sagemaker")
    put_config(wire, "wire", {"blue": put_model(wire, account, bucket, "wire")})
    client, runtime = account.client("sagemaker"), account.client("sagemaker-runtime")
    client.create_endpoint(EndpointName="wire", EndpointConfigName="wire")
    client.get_waiter("endpoint_in_service").wait(EndpointName="wire", WaiterConfig={"Delay": 1})
    answer = runtime.invoke_endpoint(EndpointName="wire", Body=b"5", ContentType="text/csv", TargetVariant="blue")
    assert (answer["InvokedProductionVariant"], json.loads(answer["Body"].read())["echo"]) == ("blue", "5")
    with pytest.raises(runtime.exceptions.ModelError) as error:
        runtime.invoke_endpoint(EndpointName="wire", Body=b"5", ContentType="text/plain")
    assert error.value.response["OriginalStatusCode"] == 400
    client.delete_endpoint(EndpointName="wire")
    until(lambda: client.list_endpoints(NameContains="wire")["Endpoints"] == [])
