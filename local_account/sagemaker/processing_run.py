"""One processing job from its first download to its last upload."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from local_account.sagemaker import opt_ml
from local_account.sagemaker.errors import JobFailed
from local_account.sagemaker.job_book import JobBook
from local_account.sagemaker.job_processes import Control, Ending, HostCommand, JobProcesses, Outcome, end_leftovers
from local_account.sagemaker.job_runner import finish
from local_account.sagemaker.room import public
from local_account.sagemaker.s3_data import download, select, upload_folder
from local_account.sagemaker.training_environment import host_names
from local_account.sagemaker.training_run import KILLED, OUT_OF_MEMORY, last_words

MESSAGE_LIMIT = 1024  # bytes of /opt/ml/output/message


def run_processing(book: JobBook, name: str, control: Control) -> None:
    """Bring one processing job to its end: Completed, Stopped, or JobFailed with its FailureReason."""
    ProcessingRun(book, name, control).run()


class ProcessingRun:
    def __init__(self, book: JobBook, name: str, control: Control) -> None:
        self._book, self._name, self._control = book, name, control
        self._room, self._doc = book.room, book.get(name)
        self._folder = self._room.folder / "jobs" / "processing" / name
        self._hosts = host_names(self._doc["ProcessingResources"]["ClusterConfig"]["InstanceCount"])
        self._s3 = self._room.s3(self._doc["RoleArn"])

    def run(self) -> None:
        if self._folder.exists():
            end_leftovers(self._folder)
        if self._doc["ProcessingJobStatus"] == "Stopping":  # the account went down between the call and the end
            finish(self._book, self._name, "Stopped")
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._book.change(self._name, ProcessingStartTime=self._room.account.clock.epoch())
        commands = [self._prepare(index, host) for index, host in enumerate(self._hosts)]
        if self._control.stop.is_set() and not self._control.halt.is_set():
            finish(self._book, self._name, "Stopped")
            return
        limit_s = self._doc["StoppingCondition"]["MaxRuntimeInSeconds"]
        processes = JobProcesses(self._room, self._book.kind.log_group, self._name, self._folder)
        self._finish(processes.run(commands, self._control, limit_s=limit_s))

    def opt_ml(self, index: int) -> Path:
        return self._folder / "opt" / "ml" if index == 0 else self._folder / "hosts" / self._hosts[index] / "opt" / "ml"

    def _prepare(self, index: int, host: str) -> HostCommand:
        root = self.opt_ml(index)
        for part in ("config", "output", "processing/input", "processing/output"):
            (root / part).mkdir(parents=True, exist_ok=True)
        resources = {"current_host": host, "hosts": self._hosts, "network_interface_name": "lo"}
        (root / "config" / "resourceconfig.json").write_text(json.dumps(resources))
        (root / "config" / "processingjobconfig.json").write_text(json.dumps(public(self._doc)))
        for item in self._doc.get("ProcessingInputs", []):
            source = item["S3Input"]
            objects = select(self._s3, source, index, len(self._hosts))
            download(self._s3, objects, Path(opt_ml.rewrite(source["LocalPath"], root)))
        for item in self._doc.get("ProcessingOutputConfig", {}).get("Outputs", []):
            Path(opt_ml.rewrite(item["S3Output"]["LocalPath"], root)).mkdir(parents=True, exist_ok=True)
        argv, hint = self._command(root)
        return HostCommand(host, argv, self._environment(root), root, hint)

    def _command(self, root: Path) -> tuple[list[str], str]:
        specification = self._doc["AppSpecification"]
        words = [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]
        argv = opt_ml.own_python([opt_ml.rewrite(word, root) for word in words])
        entry = [Path(word) for word in argv if word.endswith((".py", ".sh"))]
        # The entry's neighbours are the program too: a launcher runs them.
        neighbours = [path for file in entry if file.is_file() for path in file.parent.rglob("*.py")]
        return opt_ml.command(argv, root, [*entry, *neighbours])

    def _environment(self, root: Path) -> dict[str, str]:
        account = self._room.account
        given = {key: opt_ml.rewrite(value, root) for key, value in self._doc.get("Environment", {}).items()}
        credentials = account.credentials_for(self._doc["RoleArn"], self._name)
        return {**account.child_environment(credentials), "PYTHONUNBUFFERED": "1", **given}

    def _finish(self, outcome: Outcome) -> None:
        message = self._message(outcome.host)
        if message:
            self._book.change(self._name, ExitMessage=message)
        if outcome.ending is Ending.EXITED and outcome.exit_code != 0:
            raise JobFailed(outcome.explained(_failure(outcome, message)))
        self._upload()
        if outcome.ending is Ending.OUT_OF_TIME:
            limit = self._doc["StoppingCondition"]["MaxRuntimeInSeconds"]
            finish(
                self._book,
                self._name,
                "Stopped",
                FailureReason=f"ClientError: Job exceeded MaxRuntimeInSeconds of {limit}",
            )
        else:
            finish(self._book, self._name, "Completed" if outcome.ending is Ending.EXITED else "Stopped")

    def _message(self, host: int) -> str:
        file = self.opt_ml(host) / "output" / "message"
        return file.read_bytes()[:MESSAGE_LIMIT].decode("utf-8", "ignore").strip() if file.is_file() else ""

    def _upload(self) -> None:
        """Every host's outputs to the same place; `Continuous` outputs go up at the end too."""
        for item in self._doc.get("ProcessingOutputConfig", {}).get("Outputs", []):
            for index in range(len(self._hosts)):
                folder = Path(opt_ml.rewrite(item["S3Output"]["LocalPath"], self.opt_ml(index)))
                upload_folder(self._s3, folder, item["S3Output"]["S3Uri"])


def _failure(outcome: Outcome, message: str) -> str:
    if outcome.exit_code == KILLED:
        return f"{OUT_OF_MEMORY}, exit code: {KILLED}"
    return f"AlgorithmError: {message or last_words(outcome.tail)}, exit code: {outcome.exit_code}"
