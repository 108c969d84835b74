"""Captured rows from the spool to S3, as the role of the endpoint's model. A file leaves the spool only when S3 has it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from local_account.account import Account
from local_account.sagemaker.errors import JobFailed
from local_account.sagemaker.s3_data import upload_file

logger = logging.getLogger(__name__)

TARGET = "target.json"  # in a configuration's folder of the spool: where to, and as whom


def upload_spool(account: Account, spool: Path) -> int:
    """Upload every whole file below `<spool>/<endpoint>/<configuration>`; how many went.

    Files are named `{DestinationS3Uri}/{endpoint}/{variant}/yyyy/mm/dd/hh/mm-ss-fff-uuid.jsonl`. One that S3 refuses stays and is
    tried again with the next call.
    """
    count = 0
    for target in sorted(spool.glob(f"*/*/{TARGET}")):
        folder, facts = target.parent, json.loads(target.read_text())
        endpoint = folder.parent.name
        for file in sorted(folder.glob("*/*/*/*/*/*.jsonl")):
            uri = f"{facts['uri'].rstrip('/')}/{endpoint}/{file.relative_to(folder).as_posix()}"
            try:
                upload_file(account.client("s3", role_arn=facts["role"], session_name="SageMaker"), file, uri)
            except JobFailed as error:
                logger.warning("captured rows of %s wait in the spool: %s", endpoint, error)
                return count
            file.unlink()
            count += 1
    return count
