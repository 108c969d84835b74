"""Lambda over its own REST calls, with functions in real processes."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local_account.functions.service import LambdaService
from local_account.wire import AwsError, Response
from tests.support.small_account import ROLE, SmallAccount, request

FUNCTION = "/2015-03-31/functions"
CODE = """
import json, os, sys, time
STARTS = []
STARTS.append(1)

def handler(event, context):
    if "print" in event:
        print(event["print"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        sys.stdout.flush(); os._exit(event["exit"])
    if "bytes" in event:
        return "x" * event["bytes"]
    if "env" in event:
        return {name: os.environ.get(name) for name in event["env"]}
    return {"pid": os.getpid(), "event": event, "arn": context.invoked_function_arn,
            "left": context.get_remaining_time_in_millis(), "id": context.aws_request_id}
"""


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, text in files.items():
            package.writestr(name.replace("__", "/") + ".py", text)
    return buffer.getvalue()


class Lambda:
    """The service, called as the front door calls it."""

    def __init__(self, state: Path) -> None:
        self.account = SmallAccount(state)
        self.service = LambdaService(self.account)
        self.service.start()

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        answer = self.service.handle(request(method, path, data, service="lambda", query=query))
        return json.loads(answer.body) if answer.body else None

    def create(self, name: str = "echo", code: str = CODE, **settings: Any) -> Any:
        body = {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": base64.b64encode(archive(app=code)).decode()},
            **settings,
        }
        return self("POST", FUNCTION, body)

    def invoke(
        self, event: Any = None, name: str = "echo", kind: str = "RequestResponse", tail: bool = False
    ) -> Response:
        headers = {"x-amz-invocation-type": kind} | ({"x-amz-log-type": "Tail"} if tail else {})
        body = event if isinstance(event, bytes) else json.dumps(event or {}).encode()
        path = f"{FUNCTION}/{name.replace(':', '%3A')}/invocations"
        return self.service.handle(request("POST", path, body, service="lambda", headers=headers))

    def answer(self, event: Any = None, name: str = "echo") -> Any:
        response = self.invoke(event, name)
        assert "x-amz-function-error" not in response.headers, response.body
        return json.loads(response.body)


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Lambda]:
    made = Lambda(tmp_path)
    yield made
    made.service.stop()


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return value


def test_a_function_answers_with_its_event_and_stays_warm(aws: Lambda) -> None:
    created = aws.create()
    first, second = aws.answer({"a": 1}), aws.answer({"a": 2})
    assert created["State"] == "Active"
    assert (first["event"], second["event"]) == ({"a": 1}, {"a": 2})
    assert first["pid"] == second["pid"]
    assert first["id"] != second["id"]
    assert first["arn"] == created["FunctionArn"]
    assert 0 < second["left"] <= 3000


def test_a_function_sees_its_own_environment_and_its_roles_credentials(
    aws: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOT_FOR_FUNCTIONS", "1")
    aws.create(Environment={"Variables": {"COLOUR": "blue"}}, MemorySize=256)
    names = [
        "COLOUR",
        "NOT_FOR_FUNCTIONS",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_SESSION_TOKEN",
    ]
    assert aws.answer({"env": names}) == {
        "COLOUR": "blue",
        "NOT_FOR_FUNCTIONS": None,
        "AWS_LAMBDA_FUNCTION_NAME": "echo",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_SESSION_TOKEN": "token of echo",
    }


def test_new_code_serves_the_next_call(aws: Lambda) -> None:
    aws.create()
    aws.answer()
    code = base64.b64encode(archive(app="def handler(event, context): return 'new'")).decode()
    aws("PUT", f"{FUNCTION}/echo/code", {"ZipFile": code})
    assert aws.answer() == "new"


def test_an_exception_comes_back_as_a_function_error_with_its_trace(aws: Lambda) -> None:
    aws.create()
    response = aws.invoke({"raise": "no such user"}, tail=True)
    body = json.loads(response.body)
    assert response.status == 200
    assert response.headers["x-amz-function-error"] == "Unhandled"
    assert (body["errorType"], body["errorMessage"]) == ("ValueError", "no such user")
    assert "app.py" in body["stackTrace"][0]
    assert "[ERROR] ValueError: no such user" in base64.b64decode(response.headers["x-amz-log-result"]).decode()


def test_a_function_that_overruns_its_time_is_ended_and_the_next_call_runs(aws: Lambda) -> None:
    aws.create(Timeout=1)
    pid = aws.answer()["pid"]
    body = json.loads(aws.invoke({"sleep": 30}).body)
    assert body["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert aws.answer()["pid"] != pid


def test_a_function_that_exits_says_how(aws: Lambda) -> None:
    aws.create()
    body = json.loads(aws.invoke({"exit": 3}).body)
    assert body["errorType"] == "Runtime.ExitError"
    assert body["errorMessage"].endswith("Runtime exited with error: exit status 3")


def test_a_module_that_cannot_be_imported_is_an_init_error(aws: Lambda) -> None:
    aws.create(code="import no_such_module")
    response = aws.invoke()
    assert response.headers["x-amz-function-error"] == "Unhandled"
    body = json.loads(response.body)
    assert body["errorType"] == "Runtime.ImportModuleError"
    assert "no_such_module" in body["errorMessage"]


def test_output_reaches_the_functions_log_between_start_and_end(aws: Lambda) -> None:
    aws.create()
    request_id = aws.answer({"print": "hello\nworld"})["id"]
    aws.service.flush_logs()
    start, *written, end, report = aws.account.lines("/aws/lambda/echo")
    assert start == f"START RequestId: {request_id} Version: $LATEST"
    assert written == ["hello", "world"]
    assert end == f"END RequestId: {request_id}"
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "Init Duration: " in report


def test_a_function_that_logs_json_gets_json_from_the_platform_and_its_logger(aws: Lambda) -> None:
    code = "import logging\ndef handler(event, context): logging.getLogger().warning('careful')"
    aws.create(code=code, LoggingConfig={"LogFormat": "JSON", "LogGroup": "/house/echo"})
    aws.answer()
    aws.service.flush_logs()
    start, written, report = map(json.loads, aws.account.lines("/house/echo"))
    assert (start["type"], report["type"], report["record"]["status"]) == (
        "platform.start",
        "platform.report",
        "success",
    )
    assert (written["level"], written["message"]) == ("WARNING", "careful") or written["level"] == "WARN"
    assert written["requestId"] == start["record"]["requestId"]


def test_more_output_than_a_pipe_holds_does_not_stall_the_function(aws: Lambda) -> None:
    aws.create()
    aws.answer({"print": "x" * 1_000_000})
    aws.service.flush_logs()
    assert "x" * 1_000_000 in aws.account.lines("/aws/lambda/echo")


def test_embedded_metrics_in_the_output_become_datapoints(aws: Lambda) -> None:
    aws.create()
    metric = {"Namespace": "Understudy", "Dimensions": [["door"]], "Metrics": [{"Name": "Served", "Unit": "Count"}]}
    aws.answer(
        {
            "print": json.dumps(
                {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [metric]}, "door": "recommend", "Served": 3}
            )
        }
    )
    aws.service.flush_logs()
    assert ("Understudy", "Served", 3.0, "Count", {"door": "recommend"}) in aws.account.counted


def test_lambdas_own_metrics_count_calls_and_errors(aws: Lambda) -> None:
    aws.create()
    aws.answer()
    aws.invoke({"raise": "x"})
    assert aws.account.counts("Invocations") == [1, 1]
    assert aws.account.counts("Errors") == [0, 1]
    assert len(aws.account.counts("Duration")) == 2


def test_calls_at_once_scale_out_and_reserved_concurrency_throttles(aws: Lambda) -> None:
    from concurrent.futures import ThreadPoolExecutor

    aws.create()
    with ThreadPoolExecutor(3) as many:
        pids = {answer["pid"] for answer in many.map(lambda _: aws.answer({"sleep": 0.3}), range(3))}
    assert len(pids) == 3
    aws("PUT", "/2017-10-31/functions/echo/concurrency", {"ReservedConcurrentExecutions": 0})
    with pytest.raises(AwsError) as refused:
        aws.invoke()
    assert (refused.value.code, refused.value.status) == ("TooManyRequestsException", 429)
    assert aws.account.counts("Throttles") == [1]


def test_an_alias_names_the_version_that_serves(aws: Lambda) -> None:
    aws.create(code="def handler(event, context): return context.function_version")
    assert aws("POST", f"{FUNCTION}/echo/versions")["Version"] == "1"
    aws("POST", f"{FUNCTION}/echo/aliases", {"Name": "live", "FunctionVersion": "1"})
    assert aws.answer(name="echo:live") == "1"
    assert aws("POST", f"{FUNCTION}/echo/versions")["Version"] == "1", "nothing has changed"
    aws("PUT", f"{FUNCTION}/echo/configuration", {"Timeout": 9})
    assert aws("POST", f"{FUNCTION}/echo/versions")["Version"] == "2"
    aws("PUT", f"{FUNCTION}/echo/aliases/live", {"FunctionVersion": "2"})
    assert aws.answer(name="echo:live") == "2"


def test_provisioned_concurrency_is_warm_before_the_first_call(aws: Lambda) -> None:
    aws.create(code="import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']")
    aws("POST", f"{FUNCTION}/echo/versions")
    aws("POST", f"{FUNCTION}/echo/aliases", {"Name": "live", "FunctionVersion": "1"})
    path = "/2019-09-30/functions/echo/provisioned-concurrency"
    aws("PUT", path, {"ProvisionedConcurrentExecutions": 2}, Qualifier="live")
    until(lambda: aws("GET", path, Qualifier="live")["Status"] == "READY")
    assert aws.answer(name="echo:live") == "provisioned-concurrency"


def test_a_layers_python_folder_is_importable(aws: Lambda) -> None:
    content = base64.b64encode(archive(python__taste="GOOD = 'sweet'")).decode()
    layer = aws("POST", "/2018-10-31/layers/tastes/versions", {"Content": {"ZipFile": content}})
    aws.create(code="import taste\ndef handler(event, context): return taste.GOOD", Layers=[layer["LayerVersionArn"]])
    assert aws.answer() == "sweet"


def test_events_and_answers_beyond_lambdas_limits_are_refused(aws: Lambda) -> None:
    aws.create()
    for kind, size in (("RequestResponse", 6_291_457), ("Event", 1_048_577)):
        with pytest.raises(AwsError) as refused:
            aws.invoke(b'"' + b"x" * (size - 2) + b'"', kind=kind)
        assert (refused.value.code, refused.value.status) == ("RequestTooLargeException", 413)
    with pytest.raises(AwsError, match="InvalidRequestContentException"):
        aws.invoke(b"{not json")
    assert json.loads(aws.invoke({"bytes": 6_291_556}).body)["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(aws.answer({"bytes": 6_000_000})) == 6_000_000


def test_an_event_is_tried_three_times_and_then_sent_to_its_failure_queue(tmp_path: Path) -> None:
    class Queue:
        def __init__(self) -> None:
            self.sent: list[dict[str, Any]] = []

        def send_message(self, QueueUrl: str, MessageBody: str) -> None:
            self.sent.append({"url": QueueUrl, **json.loads(MessageBody)})

    aws = Lambda(tmp_path)
    try:
        aws.account.clients["sqs"] = queue = Queue()
        aws.create()
        queue_arn = "arn:aws:sqs:us-east-1:123456789012:lost"
        config = {"DestinationConfig": {"OnFailure": {"Destination": queue_arn}}}
        aws("PUT", "/2019-09-25/functions/echo/event-invoke-config", config)
        assert aws.invoke({"raise": "always"}, kind="Event").status == 202
        for attempts in (1, 2, 3):
            until(lambda count=attempts: len(aws.account.counts("Errors")) == count)
            aws.account.clock.advance(130)
        (message,) = until(lambda: queue.sent)
    finally:
        aws.service.stop()
    assert message["url"].endswith("/123456789012/lost")
    assert message["requestContext"]["condition"] == "RetriesExhausted"
    assert message["requestContext"]["approximateInvokeCount"] == 3
    assert message["requestPayload"] == {"raise": "always"}
    assert message["responsePayload"]["errorMessage"] == "always"


def test_an_accepted_event_survives_a_stop_in_the_middle_of_its_run(tmp_path: Path) -> None:
    code = """
import os, pathlib, time
def handler(event, context):
    runs = pathlib.Path(event["runs"])
    with runs.open("a") as file:
        file.write("run\\n")
    if runs.read_text().count("run") == 1:
        time.sleep(30)
"""
    runs = tmp_path / "runs"
    aws = Lambda(tmp_path / "state")
    aws.create(code=code, Timeout=60)
    aws.invoke({"runs": str(runs)}, kind="Event")
    until(runs.exists)
    aws.service.stop()
    again = Lambda(tmp_path / "state")
    try:
        until(lambda: again.account.counts("Errors") == [0])
    finally:
        again.service.stop()
    assert runs.read_text() == "run\nrun\n"
