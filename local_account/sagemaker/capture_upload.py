"""Captured rows from the spool to S3, as the role of the endpoint's model. A file leaves the spool only when S3 has it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from local_account.sagemaker.errors import JobFailed
from local_account.sagemaker.room import Room
from local_account.sagemaker.s3_data import upload_file
from local_account.wire import AwsError

logger = logging.getLogger(__name__)

TARGET = "target.json"  # in a configuration's folder of the spool: where to, and as whom


def upload_spool(room: Room, spool: Path) -> bool:
    """Upload every whole file below `<spool>/<endpoint>/<configuration>`; False if S3 refused one.

    Files are named `{DestinationS3Uri}/{endpoint}/{variant}/yyyy/mm/dd/hh/mm-ss-fff-uuid.jsonl`. One that S3 refuses stays and is
    tried again with the next call.
    """
    for target in sorted(spool.glob(f"*/*/{TARGET}")):
        folder, facts = target.parent, json.loads(target.read_text())
        endpoint = folder.parent.name
        for file in sorted(folder.glob("*/*/*/*/*/*.jsonl")):
            uri = f"{facts['uri'].rstrip('/')}/{endpoint}/{file.relative_to(folder).as_posix()}"
            try:
                upload_file(room.s3(facts["role"]), file, uri)
            except (JobFailed, AwsError) as error:
                logger.warning("captured rows of %s wait in the spool: %s", endpoint, error)
                return False
            file.unlink()
    return True
