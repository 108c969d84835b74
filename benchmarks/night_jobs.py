"""A finished night's jobs, described well enough to be run again with nothing around them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.run_view import RunView
from cli.site import Site

_OPT = "/opt/ml"
_BARE_RELEASE = "r-bare"  # the index that serves is left alone


@dataclass(frozen=True, slots=True)
class BareJob:
    """One job as SageMaker described it; `site` is where its inputs and its lake are."""

    name: str
    described: dict[str, Any]
    site: Site

    @property
    def trains(self) -> bool:
        return "TrainingJobName" in self.described

    def lay_out(self, folder: Path) -> None:
        """Fetch every input to where the job looks for it."""
        for uri, place in self._inputs():
            self._fetch(uri, _below(folder, place))
        for place in ("model", "output/data", "checkpoints", "processing/output", "config"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
        (folder / "config/resourceconfig.json").write_text(json.dumps(hosts))

    def command(self, folder: Path) -> list[str]:
        if self.trains:
            given = {key: json.loads(value) for key, value in self.described["HyperParameters"].items()}
            options = [
                text
                for key, value in sorted(given.items())
                if not key.startswith("sagemaker_")
                for text in (f"--{key}", str(value))
            ]
            return [sys.executable, str(folder / "code/launch.py"), *options]
        specification = self.described["AppSpecification"]
        texts = [*specification["ContainerEntrypoint"][1:], *specification.get("ContainerArguments", [])]
        if "--release-id" in texts and "index-items" in self.name:
            texts[texts.index("--release-id") + 1] = _BARE_RELEASE
        return [sys.executable, *(str(_below(folder, text)) if text.startswith(_OPT) else text for text in texts)]

    def environment(self, folder: Path) -> dict[str, str]:
        """What the two contracts give a program, and the operator's way to the account."""
        account = {"AWS_DEFAULT_REGION": self.site.session.region_name or "us-east-1", **_keys(self.site)}
        if not self.trains:
            return account
        channels = [channel["ChannelName"] for channel in self.described["InputDataConfig"]]
        given = {
            "SM_MODEL_DIR": "model",
            "SM_OUTPUT_DATA_DIR": "output/data",
            "SM_OUTPUT_DIR": "output",
            "SM_INPUT_CONFIG_DIR": "config",
            **{f"SM_CHANNEL_{name.upper()}": f"input/data/{name}" for name in channels},
        }
        hosts = {
            "SM_HOSTS": '["algo-1"]',
            "SM_CURRENT_HOST": "algo-1",
            "SM_NUM_GPUS": "0",
            "SM_NUM_CPUS": str(os.cpu_count()),
            "PYTHONPATH": str(folder / "code"),
        }
        return {**account, **hosts, **{name: str(folder / place) for name, place in given.items()}}

    def cwd(self, folder: Path) -> Path:
        return folder / "code" if self.trains else folder

    def _inputs(self) -> list[tuple[str, str]]:
        if not self.trains:
            return [
                (one["S3Input"]["S3Uri"], one["S3Input"]["LocalPath"]) for one in self.described["ProcessingInputs"]
            ]
        channels = [
            (channel["DataSource"]["S3DataSource"]["S3Uri"], f"{_OPT}/input/data/{channel['ChannelName']}")
            for channel in self.described["InputDataConfig"]
        ]
        archive = json.loads(self.described["HyperParameters"]["sagemaker_submit_directory"])
        return [*channels, (archive.rsplit("/", 1)[0], f"{_OPT}/code")]

    def _fetch(self, uri: str, folder: Path) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        s3 = self.site.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                file = folder / (entry["Key"].removeprefix(prefix).lstrip("/") or entry["Key"].rsplit("/", 1)[1])
                file.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, entry["Key"], str(file))


def bare_jobs(site: Site, execution_arn: str) -> list[BareJob]:
    """Every job that an execution ran, in its order."""
    view, sagemaker = RunView(site, execution_arn), site.client("sagemaker")
    view.refresh()
    jobs = []
    for state in view.states:
        if state.job and "Training" in str(state.log_group):
            jobs.append(BareJob(state.job, sagemaker.describe_training_job(TrainingJobName=state.job), site))
        elif state.job:
            jobs.append(BareJob(state.job, sagemaker.describe_processing_job(ProcessingJobName=state.job), site))
    return jobs


def _below(folder: Path, place: str) -> Path:
    return folder / place.removeprefix(_OPT).lstrip("/")


def _keys(site: Site) -> dict[str, str]:
    credentials = site.session.get_credentials()
    assert credentials is not None
    frozen = credentials.get_frozen_credentials()
    return {
        "AWS_ACCESS_KEY_ID": frozen.access_key,
        "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
        "AWS_ENDPOINT_URL": site.client("s3").meta.endpoint_url,
    }
