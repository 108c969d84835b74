"""`recommend` end to end over HTTP, warm, at 50 requests a second with 200 candidates ranked.

Needs an account with a release on stage: the one AWS_* names, or the laptop's in `.understudy`. Requests come at their
own times, not when the last answer is in, and a latency counts from the time a request was due, so a slow answer costs
those behind it too. Beside it: the four calls of an answer made bare over the same wire, one after another, and what they
cost without a wire, in this process.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from understudy.adapters.aws import DynamoReleases, DynamoTraffic
from understudy.adapters.aws_items import from_item
from understudy.adapters.aws_serving import DynamoFeatures, EndpointModels, OpenSearchIndex
from understudy.adapters.aws_wire import SignedHttp
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Slot
from understudy.domain.ranking_rows import ranking_csv
from understudy.domain.recommendation import IndexQuestion

GOAL_MS = 40.0
MAX_RATIO = 2.0
RATE, SECONDS, WARM_UP_S = 50, 20, 6
CANDIDATES = 200
SENDERS = 32
BARE_ROUNDS = 150
STATE = Path(os.environ.get("UNDERSTUDY_STATE", ".understudy"))
STACK = os.environ.get("UNDERSTUDY_STACK", "understudy")


@dataclass(frozen=True)
class Stage:
    """What is on stage, and who to ask for."""

    session: boto3.Session
    outputs: dict[str, str]
    record: ReleaseRecord
    slot: Slot
    users: list[str]


@dataclass
class Load:
    """Answers of an open-loop run."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def percentile(self, q: float) -> float:
        return float(np.percentile(self.latencies_ms, q))


def measure() -> dict[str, Any]:
    """Warm up, then bare calls at rest, then the load; everything in one run."""
    stage = find_stage()
    run_load(stage, RATE, WARM_UP_S)
    bare = bare_calls(stage)
    in_process_ms = in_process_sum(stage)
    load = run_load(stage, RATE, SECONDS)
    p50, p99, bare_p50 = load.percentile(50), load.percentile(99), float(np.percentile(bare["sum"], 50))
    print(f"{'recommend at ' + str(RATE) + '/s':28} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms")  # noqa: T201
    for name, times in bare.items():
        p = np.percentile(times, [50, 99])
        print(f"  bare {name:21} p50 {p[0]:7.2f} ms  p99 {p[1]:7.2f} ms")  # noqa: T201
    print(f"  in process, without a wire  {in_process_ms:7.2f} ms")  # noqa: T201
    print(f"  errors {dict(load.errors)}, degraded {load.degraded} of {len(load.latencies_ms)}")  # noqa: T201
    ratio = p50 / bare_p50
    return {
        "value": round(p99, 2),
        "unit": "ms",
        "peer": round(bare_p50, 2),
        "ratio": round(ratio, 2),
        "goal": GOAL_MS,
        "holds": p99 <= GOAL_MS and ratio <= MAX_RATIO and not load.errors and not load.degraded,
        "p50": round(p50, 2),
        "in_process": round(in_process_ms, 2),
    }


def find_stage() -> Stage:
    """The account, its stack's outputs, the champion's record, and up to 500 users with features."""
    if (STATE / "config").exists() and not os.environ.get("AWS_PROFILE") and not os.environ.get("AWS_ACCESS_KEY_ID"):
        os.environ["AWS_CONFIG_FILE"] = str((STATE / "config").resolve())
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str((STATE / "credentials").resolve())
        os.environ["AWS_PROFILE"] = "understudy"
    session = boto3.Session()
    try:
        stack = session.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    except BotoCoreError as error:
        raise SystemExit(f"no account answers ({error}); start one with a release on stage: understudy up") from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    dynamo = session.client("dynamodb")
    traffic = DynamoTraffic(dynamo, outputs["TrafficTable"]).current()
    if traffic is None:
        raise SystemExit("no release is on stage; run a night first: understudy night")
    record = DynamoReleases(dynamo, outputs["ReleasesTable"]).get(traffic.champion.release)
    assert record is not None
    page = dynamo.scan(TableName=outputs["UserFeaturesTable"], Limit=500, ProjectionExpression="user_id")
    users = [str(from_item(item)["user_id"]) for item in page["Items"]]
    return Stage(session, outputs, record, traffic.champion.slot, users)


def run_load(stage: Stage, rate: int, seconds: int) -> Load:
    """Open loop: request n is due at n / rate; threads wait for their turn and send what was signed before."""
    rng, load = random.Random(1), Load()
    count = rate * seconds
    url = stage.outputs["ApiUrl"].rstrip("/") + "/recommend"
    requests = [signed(stage, url, {"user_id": rng.choice(stage.users), "k": 10}) for _ in range(count)]
    pool = urllib3.PoolManager(maxsize=SENDERS, retries=False, timeout=5.0)
    began, turn = time.perf_counter() + 0.2, iter(range(count))
    turn_lock = threading.Lock()

    def send() -> None:
        while True:
            with turn_lock:
                number = next(turn, None)
            if number is None:
                return
            due = began + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            headers, body = requests[number]
            outcome, degraded = ask(pool, url, headers, body)
            with load.lock:
                load.latencies_ms.append((time.perf_counter() - due) * 1000)
                load.degraded += degraded
                if outcome != "200":
                    load.errors[outcome] += 1

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def signed(stage: Stage, url: str, body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    data = json.dumps(body).encode()
    request = AWSRequest("POST", url, data=data, headers={"content-type": "application/json"})
    region = stage.session.region_name or "us-east-1"
    credentials = stage.session.get_credentials()
    assert credentials is not None
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    return dict(request.headers.items()), data


def ask(pool: urllib3.PoolManager, url: str, headers: dict[str, str], body: bytes) -> tuple[str, bool]:
    """(status or the exception's name, whether the answer was degraded)."""
    try:
        answer = pool.request("POST", url, headers=headers, body=body)
    except urllib3.exceptions.HTTPError as error:
        return type(error).__name__, False
    degraded = answer.status == 200 and bool(json.loads(answer.data)["degraded"])
    return str(answer.status), degraded


def bare_calls(stage: Stage) -> dict[str, list[float]]:
    """Milliseconds of each of the four calls and of their sum, made by one client at rest."""
    http, record = SignedHttp(), stage.record
    region_url = stage.outputs["ItemIndexUrl"]
    features = DynamoFeatures(http, stage.outputs["UserFeaturesTable"])
    models, index = EndpointModels(http, f"{STACK}-two-tower", f"{STACK}-ranker"), OpenSearchIndex(http, region_url)
    times: dict[str, list[float]] = {
        name: [] for name in ("features", "user tower", "k-NN", "ranker", "other work", "sum")
    }
    rng = random.Random(2)
    for number in range(BARE_ROUNDS):
        user_id, request_id = rng.choice(stage.users), f"bench{number:021d}"
        laps = [time.perf_counter()]
        user = dict(features.of(user_id, 2.0))
        laps.append(time.perf_counter())
        question = {name: user.get(name) for name in ("age", "city", "segment")} | {"user_id": user_id}
        question["last_5_clicks"] = user.get("last_5_clicks") or []
        vector = models.user_vector(question, stage.slot, request_id, 2.0).vector
        laps.append(time.perf_counter())
        items = index.nearest(record, knn(record, vector, user.get("seen") or []), 2.0)
        laps.append(time.perf_counter())
        rows = ranking_csv(record, user, items, datetime.now(UTC))
        laps.append(time.perf_counter())
        models.scores(rows, stage.slot, request_id, 2.0)
        laps.append(time.perf_counter())
        steps = [(after - before) * 1000 for before, after in pairwise(laps)]
        for name, took in zip(("features", "user tower", "k-NN", "other work", "ranker"), steps, strict=True):
            times[name].append(took)
        times["sum"].append(sum(steps) - steps[3])  # the four calls alone
    return times


def knn(record: ReleaseRecord, vector: Any, seen: list[str]) -> IndexQuestion:
    return IndexQuestion(vector, CANDIDATES, int(CANDIDATES * record.index_query.factor), seen, [])


def in_process_sum(stage: Stage) -> float:
    """Median milliseconds of user tower, k-NN and ranker as plain calls in this process, from the release's own files."""
    from features.archive import open_model
    from ranker import inference as ranker
    from two_tower import inference as two_tower

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, uri in (("tower", stage.record.two_tower_model_s3), ("ranker", stage.record.ranker_model_s3)):
            (root / name).mkdir()
            download(stage, uri, root / name / "model.tar.gz")
        tower_dir = open_model(root / "tower", make(root / "tower-files"))
        ranker_dir = open_model(root / "ranker", make(root / "ranker-files"))
        tower, scorer = two_tower.model_fn(str(tower_dir)), ranker.model_fn(str(ranker_dir))
        rng = np.random.default_rng(0)
        rows = ranking_csv(stage.record, {}, [{} for _ in range(CANDIDATES)], datetime.now(UTC))
        nearest = nearest_of(rng.normal(size=(20_000, 64)).astype(np.float32))
        user = json.dumps({"users": [{"user_id": stage.users[0]}]}).encode()

        def once() -> None:
            answer = two_tower.predict_fn(two_tower.input_fn(user, "application/json"), tower)
            nearest(np.asarray(answer["vectors"], np.float32))
            ranker.predict_fn(ranker.input_fn(rows.encode(), "text/csv"), scorer)

        return float(np.median([timed(once) for _ in range(50)]))


def nearest_of(vectors_ID: np.ndarray) -> Callable[[np.ndarray], Any]:
    """A k-NN of as many items as a small site has, in this process."""
    import faiss

    index = faiss.IndexHNSWFlat(vectors_ID.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = CANDIDATES
    index.add(vectors_ID)
    return lambda query: index.search(query, CANDIDATES)


def timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def download(stage: Stage, uri: str, file: Path) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    stage.session.client("s3").download_file(bucket, key, str(file))


if __name__ == "__main__":
    print(measure())  # noqa: T201
