"""Baseline and monitors as SageMaker runs them: processing jobs of the local account, from a release's folders to files and metrics."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.release import open_release
from features.declaration import load
from features.manifest import read_manifest
from local_account.sagemaker.service import SageMakerService
from monitors.baseline_files import Baseline, read_baseline, read_model
from monitors.formats import Kind
from monitors.replay import Replay, Rules, read_requests
from monitors.shown import Shown
from support.monitor_logs import START, at_times, with_clicks, write_logs
from support.prepared import make_prepared
from support.release_folders import store_ranker, store_tower
from support.sagemaker_room import IMAGE, OwnFolder, call, s3_input

ROOT = Path(__file__).parents[3]
BUCKET, NAME = "monitor-jobs", "monitor-jobs"
ROLE = f"arn:aws:iam::123456789012:role/{NAME}"
INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output/out"
WINDOW = ("--window-start", "2026-03-02T00:00:00Z", "--window-end", "2026-03-03T00:00:00Z")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*", "cloudwatch:PutMetricData"], "Resource": "*"}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Room:
    """Runs our programs as processing jobs; folders go up and come back through S3."""

    def __init__(self, account: Any, service: SageMakerService, folder: Path) -> None:
        self.account, self.service, self.folder, self.jobs = account, service, folder, 0
        self.s3 = account.client("s3")
        code = folder / "sourcedir.tar.gz"
        with tarfile.open(code, "w:gz") as archive:
            for file in sorted((ROOT / "model_code").rglob("*")):
                if file.suffix in (".py", ".yaml", ".j2"):
                    archive.add(file, file.relative_to(ROOT / "model_code").as_posix())
        self.s3.upload_file(str(code), BUCKET, "code/sourcedir.tar.gz")
        self.s3.upload_file(str(ROOT / "model_code" / "launch.py"), BUCKET, "code/launch.py")

    def put(self, folder: Path) -> str:
        prefix = folder.relative_to(self.folder).as_posix()
        for file in folder.rglob("*"):
            if file.is_file():
                self.s3.upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder).as_posix()}")
        return f"s3://{BUCKET}/{prefix}/"

    def run(self, program: str, folders: dict[str, str], *arguments: str) -> tuple[dict[str, Any], Path]:
        """(description, output folder) of a finished job."""
        from support.sagemaker_room import ended

        self.jobs += 1
        name, output = f"{NAME}-{self.jobs}", self.folder / f"output-{self.jobs}"
        paths = [part for key in folders for part in (f"--{key}", f"{INPUT}/{key}")]
        entry = ["python3", f"{INPUT}/code/launch.py", program, *paths, *arguments, "--output", OUTPUT]
        call(
            self.service,
            "CreateProcessingJob",
            ProcessingJobName=name,
            RoleArn=ROLE,
            AppSpecification={
                "ImageUri": IMAGE,
                "ContainerEntrypoint": [*entry, "--message-file", "/opt/ml/output/message"],
            },
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            ProcessingInputs=[s3_input(key, uri) for key, uri in {"code": f"s3://{BUCKET}/code/", **folders}.items()],
            ProcessingOutputConfig={
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": f"s3://{BUCKET}/{output.name}",
                            "LocalPath": OUTPUT,
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        )
        done = ended(self.service, "Processing", name)
        for row in self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{output.name}/").get("Contents", []):
            target = self.folder / row["Key"]
            target.parent.mkdir(parents=True, exist_ok=True)
            self.s3.download_file(BUCKET, row["Key"], str(target))
        return done, output


@pytest.fixture(scope="module")
def room(account: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("monitors")
    account.client("iam").create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(TRUST))
    account.client("iam").put_role_policy(RoleName=NAME, PolicyName="all", PolicyDocument=json.dumps(POLICY))
    account.client("s3").create_bucket(Bucket=BUCKET)
    service = SageMakerService(OwnFolder(account, folder / "state"))
    service.start()
    yield Room(account, service, folder)
    service.stop()


@pytest.fixture(scope="module")
def folders(room: Room) -> dict[str, Path]:
    """A release's own folders."""
    prepared = make_prepared(room.folder / "prepared", users=250)
    tower, vectors = store_tower(prepared, room.folder / "tower", "a" * 64)
    ranker = store_ranker(prepared, room.folder / "ranker")
    return {"prepared": prepared, "two-tower": tower, "vectors": vectors, "ranker": ranker}


@pytest.fixture(scope="module")
def baseline(room: Room, folders: dict[str, Path]) -> Path:
    uris = {name: room.put(folder) for name, folder in folders.items()}
    done, output = room.run("monitors/baseline.py", uris, "--release-id", "r-1", "--candidates", "40")
    assert done["ProcessingJobStatus"] == "Completed", done.get("FailureReason")
    return output


@pytest.fixture(scope="module")
def made(baseline: Path) -> Baseline:
    return read_baseline(baseline)


@pytest.fixture(scope="module")
def day(folders: dict[str, Path], made: Baseline, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A day of the release's lists, clicked as it expects."""
    release = open_release(folders["two-tower"], folders["ranker"], folders["vectors"], tmp_path_factory.mktemp("open"))
    scorer, _ = read_model(release.ranker)
    prepared = folders["prepared"]
    replay = Replay(release, scorer, load(prepared / "features.yaml"), prepared, Rules(candidates=40))
    shown = at_times(replay.shown(read_requests(prepared, 500, seed=3)), START, 24)
    hour = shown.at_us // 3_600_000_000
    context = {"hour": (hour % 24).astype(float), "weekday": ((hour // 24 + 3) % 7).astype(float)}
    shown = replace(shown, raw={**shown.raw, **context})
    return with_clicks(shown, made.probabilities(shown))


@pytest.fixture(scope="module")
def quiet(room: Room, baseline: Path, day: Shown, made: Baseline) -> dict[str, str]:
    logs = write_logs(room.folder / "quiet", day, made.first_place(day))
    named = {"baseline": baseline, "capture": logs.capture, "served": logs.served, "ground-truth": logs.feedback}
    return {name: room.put(folder) for name, folder in named.items()}


def monitor(room: Room, uris: dict[str, str], kind: Kind, *more: str) -> tuple[dict[str, Any], Path]:
    names = ("--kind", kind.value, "--endpoint", "ranker", "--schedule", f"hourly-{kind}", *WINDOW)
    return room.run("monitors/run.py", uris, *names, *more)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_monitor_of_a_day_like_the_baseline_writes_its_files_and_metrics(room, quiet, kind):
    done, output = monitor(room, quiet, kind, "--labels", "complete")
    assert done["ProcessingJobStatus"] == "Completed", done.get("FailureReason")
    assert done["ExitMessage"] == "Completed: Job completed successfully with no violations."
    assert json.loads((output / "constraint_violations.json").read_text())["violations"] == []
    facts = read_manifest(output, "monitor")
    assert (facts["kind"], facts["violations"], facts["release_id"]) == (kind.value, 0, "r-1")
    page = (output / "report.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    written = json.loads((output / "metrics.json").read_text())
    found = room.account.client("cloudwatch").list_metrics(
        Namespace=written["namespace"], Dimensions=[{"Name": "MonitoringSchedule", "Value": f"hourly-{kind}"}]
    )["Metrics"]
    emitted = {(one["MetricName"], tuple(sorted((d["Name"], d["Value"]) for d in one["Dimensions"]))) for one in found}
    expected = {
        (one["MetricName"], tuple(sorted((d["Name"], d["Value"]) for d in one["Dimensions"])))
        for one in written["metric_data"]
    }
    assert emitted == expected
    assert {"violations", "schema_violations", "drift_violations"} <= {name for name, _ in emitted}


def test_a_broken_feature_is_a_schema_violation(room, quiet, day, made):
    place = day.names.index("user_age")
    logs = write_logs(
        room.folder / "broken",
        day,
        made.first_place(day),
        cells=lambda row: [*row[:place], "", *row[place + 1 :]],
    )
    uris = {**quiet, "capture": room.put(logs.capture)}
    done, output = monitor(room, uris, Kind.DATA_QUALITY)
    assert done["ExitMessage"].startswith("CompletedWithViolations: Job completed successfully with ")
    violations = json.loads((output / "constraint_violations.json").read_text())["violations"]
    assert ("user_age", "completeness_check") in {
        (one["feature_name"], one["constraint_check_type"]) for one in violations
    }
    data = json.loads((output / "metrics.json").read_text())["metric_data"]
    assert [one["Value"] for one in data if one["MetricName"] == "schema_violations"] == [1.0]


def test_a_window_without_requests_is_neither_health_nor_drift(room, quiet):
    done, output = monitor(room, quiet, Kind.BIAS, "--window-start", "2026-04-01", "--window-end", "2026-04-02")
    assert done["ProcessingJobStatus"] == "Failed"
    assert done["ExitMessage"].startswith("Job inputs had no data: no list of r-1 in the window")
    assert not (output / "statistics.json").exists()


def test_the_files_have_model_monitors_form(baseline):
    statistics = json.loads((baseline / "data-quality" / "statistics.json").read_text())
    constraints = json.loads((baseline / "data-quality" / "constraints.json").read_text())
    assert statistics["version"] == constraints["version"] == 0.0
    by_name = {feature["name"]: feature for feature in statistics["features"]}
    numerical = by_name["user_age"]["numerical_statistics"]
    assert set(numerical) == {"common", "mean", "sum", "std_dev", "min", "max", "distribution"}
    assert set(numerical["common"]) == {"num_present", "num_missing"}
    kll = numerical["distribution"]["kll"]
    assert [set(bucket) for bucket in kll["buckets"]] == [{"lower_bound", "upper_bound", "count"}] * 10
    assert sum(bucket["count"] for bucket in kll["buckets"]) == numerical["common"]["num_present"]
    assert (
        sum(len(level) << place for place, level in enumerate(kll["sketch"]["data"]))
        == numerical["common"]["num_present"]
    )
    city = by_name["user_city"]["string_statistics"]
    assert set(city) == {"common", "distinct_count", "distribution"}
    assert set(city["distribution"]["categorical"]["buckets"][0]) == {"value", "count"}
    age = next(feature for feature in constraints["features"] if feature["name"] == "user_age")
    assert set(age) == {"name", "inferred_type", "completeness", "num_constraints", "monitoringConfigOverrides"}
    assert constraints["monitoring_config"]["distribution_constraints"]["comparison_method"] == "Robust"
    quality = json.loads((baseline / "model-quality" / "constraints.json").read_text())[
        "binary_classification_constraints"
    ]
    assert all(set(one) == {"threshold", "comparison_operator"} for one in quality.values())
    metrics = json.loads((baseline / "model-quality" / "statistics.json").read_text())["binary_classification_metrics"]
    assert {"auc", "precision", "recall", "f1", "accuracy"} <= set(metrics)
    assert all(set(one) == {"value", "standard_deviation"} for one in metrics.values())


def test_attributions_come_from_the_trees(made, day):
    shap, expected = made.explainer.contributions({name: values[:50] for name, values in day.raw.items()})
    margins = np.log(made.first_place(day.rows(np.arange(50))))
    assert shap.shape == (50, len(day.columns))
    assert np.isfinite(expected)
    assert np.corrcoef(shap.sum(1), margins)[0, 1] > 0.95
