"""Is a stage's work there already, whole? Then its job does not run again.

In   {stage, kind, uri}   events/find_finished_work/*.json
Out  Work: {finished, uri | model, job}
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import client
from understudy.adapters.work import find_processing, find_training, find_transform
from understudy.contracts.nightly import FindWorkEvent

logger = Logger()


@cache
def world() -> tuple[Any, Any]:
    return client("s3"), client("sagemaker")


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = FindWorkEvent.model_validate(event)
    s3, sagemaker = world()
    if asked.kind == "processing":
        work = find_processing(s3, asked.uri)
    else:
        find = find_training if asked.kind == "training" else find_transform
        work = find(s3, sagemaker, asked.uri)
    logger.info("looked for finished work", stage=asked.stage, finished=work.finished, uri=asked.uri)
    return work.model_dump()
