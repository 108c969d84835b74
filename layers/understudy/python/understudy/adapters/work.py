"""Finished work in S3, and what the jobs that made it cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from understudy.contracts.nightly import Work
from understudy.domain.cost import JobRun

_MAX_JSON_BYTES = 4 * 1024 * 1024


def split_s3(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` -> (bucket, key).

    Examples
    --------
    >>> split_s3("s3://b/work/x")
    ('b', 'work/x')
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise ValueError(f"{uri!r} is no s3://bucket/key")
    return bucket, key


def read_json(s3: Any, uri: str) -> Any:
    """A small JSON object; anything over 4 MB is not one of ours."""
    bucket, key = split_s3(uri)
    answer = s3.get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > _MAX_JSON_BYTES:
        raise ValueError(f"{uri} has {answer['ContentLength']} bytes; expected a small JSON document")
    return json.loads(answer["Body"].read())


def find_processing(s3: Any, uri: str) -> Work:
    """A processing job's output is finished when its manifests are there and every file they name has its size."""
    sizes = dict(_objects(s3, uri))
    manifests = _manifests(s3, uri, sizes)
    entries = [entry for manifest in manifests for entry in manifest["files"]]
    if not manifests or any(sizes.get(entry["path"]) != entry["bytes"] for entry in entries):
        return Work(finished=False)
    return Work(finished=True, uri=uri, job=manifests[0].get("job_arn"))


def _manifests(s3: Any, uri: str, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """`manifest.json`, or the ones of all hosts that shared the work; none while one is missing or of another run."""
    if "manifest.json" in sizes:
        return [read_json(s3, f"{uri}/manifest.json")]
    shards = sorted(path for path in sizes if path.startswith("manifest-") and path.endswith(".json"))
    if not shards:
        return []
    hosts = read_json(s3, f"{uri}/{shards[0]}")["hosts"]
    names = [f"manifest-{host}.json" for host in hosts]
    if not sizes.keys() >= set(names):
        return []
    manifests = [read_json(s3, f"{uri}/{name}") for name in names]
    return manifests if all(manifest["hosts"] == hosts for manifest in manifests) else []


def find_training(s3: Any, sagemaker: Any, uri: str) -> Work:
    """A model of a job that Completed. Its name is part of the path: `<uri>/<job>/output/model.tar.gz`."""
    for path, _ in _objects(s3, uri):
        job, _, rest = path.partition("/")
        if rest != "output/model.tar.gz":
            continue
        try:
            described = sagemaker.describe_training_job(TrainingJobName=job)
        except ClientError:
            continue  # the job's record is gone, so nobody can say that it completed
        if described["TrainingJobStatus"] == "Completed":
            return Work(finished=True, model=f"{uri}/{path}", job=described["TrainingJobArn"])
    return Work(finished=False)


def find_transform(s3: Any, sagemaker: Any, uri: str) -> Work:
    """The output of a transform job that Completed, by its name: `<uri>/<job>/…`. One that failed midway may have left some."""
    for job in sorted({path.partition("/")[0] for path, _ in _objects(s3, uri)}):
        try:
            described = sagemaker.describe_transform_job(TransformJobName=job)
        except ClientError:
            continue  # as find_training
        if described["TransformJobStatus"] == "Completed":
            return Work(finished=True, uri=f"{uri}/{job}", job=described["TransformJobArn"])
    return Work(finished=False)


def _objects(s3: Any, uri: str) -> Iterable[tuple[str, int]]:
    """(path below the folder, bytes) of every object."""
    bucket, key = split_s3(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{key}/"):
        for entry in page.get("Contents", []):
            yield entry["Key"].removeprefix(f"{key}/"), entry["Size"]


def job_run(sagemaker: Any, arn: str) -> JobRun:
    """What AWS bills for a finished job."""
    name = arn.rsplit("/", 1)[1]
    if ":training-job/" in arn:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        cluster, seconds = job["ResourceConfig"], float(job.get("BillableTimeInSeconds", 0))
    else:
        job = sagemaker.describe_processing_job(ProcessingJobName=name)
        cluster = job["ProcessingResources"]["ClusterConfig"]
        seconds = (job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds()
    return JobRun(arn, cluster["InstanceType"], int(cluster["InstanceCount"]), seconds)


def write_json(s3: Any, uri: str, document: Mapping[str, Any]) -> None:
    bucket, key = split_s3(uri)
    s3.put_object(
        Bucket=bucket, Key=key, Body=json.dumps(document, sort_keys=True).encode(), ContentType="application/json"
    )
