"""The request path's dependencies: online features, the two endpoints, the item index, the served-list stream."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from understudy.adapters.aws_items import from_item, to_item
from understudy.adapters.aws_wire import DynamoReads, JsonProtocol, SignedHttp, read_json
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Slot
from understudy.domain.recommendation import IndexQuestion, RankerAnswer, TowerAnswer
from understudy.errors import StepFailed


class DynamoFeatures:
    """`Features` from the online table; read eventually consistent, rows are a day old anyway."""

    def __init__(self, http: SignedHttp, table: str) -> None:
        self._reads, self._table = DynamoReads(http, 1.0), table

    def of(self, user_id: str, timeout_s: float) -> Mapping[str, Any]:
        key = to_item({"user_id": user_id})
        try:
            item = self._reads.get_item(timeout_s=timeout_s, TableName=self._table, Key=key).get("Item")
        except ClientError as error:
            raise StepFailed("features", error.response["Error"]["Code"]) from None
        features = from_item(item).get("features") if item else {}
        if not isinstance(features, dict):
            raise StepFailed("features", "the item has no map `features`")
        return features


class EndpointModels:
    """`Models` behind the two endpoints: TargetVariant is the release's slot, InferenceId the request's id."""

    def __init__(self, http: SignedHttp, two_tower_endpoint: str, ranker_endpoint: str) -> None:
        self._http, self._two_tower, self._ranker = http, two_tower_endpoint, ranker_endpoint
        self._base = http.endpoint("sagemaker-runtime")

    def user_vector(self, user: Mapping[str, Any], slot: Slot, request_id: str, timeout_s: float) -> TowerAnswer:
        body = json.dumps({"users": [user]}, separators=(",", ":")).encode()
        content = self._invoke(self._two_tower, "application/json", body, slot, request_id, timeout_s)
        try:
            ((*vector,),) = content["vectors"]
            return TowerAnswer(str(content["tower_id"]), _finite(vector))
        except (KeyError, TypeError, ValueError):
            raise StepFailed("user_tower", "the answer holds no single vector of finite numbers") from None

    def scores(self, rows: str, slot: Slot, request_id: str, timeout_s: float) -> RankerAnswer:
        content = self._invoke(self._ranker, "text/csv", rows.encode(), slot, request_id, timeout_s)
        try:
            return RankerAnswer(str(content["ranker_id"]), _finite(content["scores"]))
        except (KeyError, TypeError, ValueError):
            raise StepFailed("ranker", "the answer holds no finite scores") from None

    def _invoke(
        self, endpoint: str, content_type: str, body: bytes, slot: Slot, request_id: str, timeout_s: float
    ) -> dict[str, Any]:
        headers = {
            "content-type": content_type,
            "accept": "application/json",
            "x-amzn-sagemaker-target-variant": slot,
            "x-amzn-sagemaker-inference-id": request_id,
        }
        url = f"{self._base}/endpoints/{quote(endpoint)}/invocations"
        answer = self._http.send("POST", url, body, headers, signing_name="sagemaker", timeout_s=timeout_s)
        if answer.status != 200:
            raise StepFailed(endpoint, f"HTTP {answer.status}")
        return read_json(answer.body, endpoint)


def _finite(numbers: Sequence[Any]) -> list[float]:
    values = [float(number) for number in numbers]
    if not all(map(math.isfinite, values)):
        raise ValueError("not finite")
    return values


class OpenSearchIndex:
    """`ItemIndex` over OpenSearch's REST, signed for `es`."""

    def __init__(self, http: SignedHttp, url: str) -> None:
        self._http, self._url = http, url.rstrip("/")

    def nearest(self, record: ReleaseRecord, query: IndexQuestion, timeout_s: float) -> list[dict[str, Any]]:
        answer = self._http.send(
            "POST",
            f"{self._url}/{quote(record.index)}/_search",
            json.dumps(search_body(record.item_fields, query), separators=(",", ":")).encode(),
            {"content-type": "application/json"},
            signing_name="es",
            timeout_s=timeout_s,
        )
        if answer.status != 200:
            raise StepFailed("index", f"HTTP {answer.status}")
        content = read_json(answer.body, "index")
        try:
            if content.get("timed_out"):
                raise StepFailed("index", "the search timed out")
            return [
                {"item_id": hit["_id"], **hit["_source"], "score": hit["_score"]} for hit in content["hits"]["hits"]
            ]
        except (KeyError, TypeError):
            raise StepFailed("index", "the answer holds no hits") from None


def search_body(fields: Sequence[str], query: IndexQuestion) -> dict[str, Any]:
    """The k-NN query of docs/seams.md: the filter inside the k-NN clause, so that k items survive it."""
    knn: dict[str, Any] = {"vector": list(query.vector), "k": query.k}
    rules: dict[str, Any] = {}
    if query.excluded:
        rules["must_not"] = [{"terms": {"item_id": list(query.excluded)}}]
    if query.topics:
        rules["filter"] = [{"terms": {"item_topic": list(query.topics)}}]
    if rules:
        knn["filter"] = {"bool": rules}
    return {"size": query.size, "_source": list(fields), "query": {"knn": {"vector": knn}}}


class Firehose:
    """JSON lines to one delivery stream, one attempt a call."""

    def __init__(self, http: SignedHttp, stream: str) -> None:
        self._firehose, self._stream = JsonProtocol(http, "firehose", "Firehose_20150804", "1.1"), stream

    def put(self, record: Mapping[str, Any], timeout_s: float) -> None:
        """One record.

        Raises
        ------
        StepFailed
            It may or may not have been kept.
        """
        arguments = {"DeliveryStreamName": self._stream, "Record": _line(record)}
        try:
            self._firehose.call("PutRecord", arguments, timeout_s)
        except ClientError as error:
            raise StepFailed("served_list", error.response["Error"]["Code"]) from None

    def put_batch(self, records: Sequence[Mapping[str, Any]], timeout_s: float) -> list[str | None]:
        """Up to 500 records; for each None if it was kept, else the code with which it was refused."""
        arguments = {"DeliveryStreamName": self._stream, "Records": [_line(record) for record in records]}
        try:
            answer = self._firehose.call("PutRecordBatch", arguments, timeout_s)
        except ClientError as error:
            return [error.response["Error"]["Code"]] * len(records)
        except StepFailed as error:
            return [error.why] * len(records)
        return [each.get("ErrorCode") for each in answer["RequestResponses"]]


def _line(record: Mapping[str, Any]) -> dict[str, str]:
    line = json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n"
    return {"Data": base64.b64encode(line.encode()).decode()}


class SecretKey:
    """The signing key of tokens, from Secrets Manager; read once and again after `ttl_s`, so that a rotation is met."""

    def __init__(self, http: SignedHttp, secret_arn: str, ttl_s: float = 300.0) -> None:
        self._secrets, self._arn, self._ttl_s = (
            JsonProtocol(http, "secretsmanager", "secretsmanager", "1.1"),
            secret_arn,
            ttl_s,
        )
        self._key: bytes | None = None
        self._read_at = 0.0

    def get(self, now_s: float, timeout_s: float) -> bytes:
        """The key; the one known so far while a fresh one cannot be had.

        Raises
        ------
        StepFailed
            There is none yet and none could be read.
        """
        if self._key is None or now_s - self._read_at >= self._ttl_s:
            try:
                content = self._secrets.call("GetSecretValue", {"SecretId": self._arn}, timeout_s)
                self._key, self._read_at = str(content["SecretString"]).encode(), now_s
            except (ClientError, StepFailed, KeyError) as error:
                if self._key is None:
                    raise StepFailed("token_key", type(error).__name__) from None
        return self._key
