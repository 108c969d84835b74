"""One training job from its first download to its last upload."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from local_account.sagemaker import opt_ml
from local_account.sagemaker.archives import BadArchive, pack, regular_files, unpack
from local_account.sagemaker.errors import JobFailed
from local_account.sagemaker.job_book import JobBook
from local_account.sagemaker.job_logs import metric_reader
from local_account.sagemaker.job_processes import Control, Ending, HostCommand, JobProcesses, Outcome, end_leftovers
from local_account.sagemaker.job_runner import finish
from local_account.sagemaker.room import Answer
from local_account.sagemaker.s3_data import download, fetch, list_prefix, select, upload_file, upload_folder
from local_account.sagemaker.training_environment import (
    PROGRAM,
    SUBMIT_DIRECTORY,
    arguments,
    decoded,
    host_names,
    toolkit_variables,
    user_parameters,
    write_config,
)
from local_account.sagemaker.tuning_trials import curve_listener

OUT_OF_MEMORY = "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an instance."
KILLED = 137


def run_training(book: JobBook, name: str, control: Control) -> None:
    """Bring one training job to its end: Completed, Stopped, or JobFailed with its FailureReason."""
    TrainingRun(book, name, control).run()


class TrainingRun:
    def __init__(self, book: JobBook, name: str, control: Control) -> None:
        self._book, self._name, self._control = book, name, control
        self._room, self._doc = book.room, book.get(name)
        self._folder = self._room.folder / "jobs" / "training" / name
        self._hosts = host_names(self._doc["ResourceConfig"].get("InstanceCount", 1))
        self._s3 = self._room.s3(self._doc["RoleArn"])

    def run(self) -> None:
        if self._folder.exists():
            end_leftovers(self._folder)
        if self._doc["TrainingJobStatus"] == "Stopping":  # the account went down between the call and the end
            self._upload()
            finish(self._book, self._name, "Stopped")
            return
        if self._doc["SecondaryStatus"] != "Starting":
            self._book.change(self._name, SecondaryStatus="Restarting")
        self._lay_out()
        self._book.change(self._name, SecondaryStatus="Downloading", TrainingStartTime=self._room.account.clock.epoch())
        commands = [self._prepare(index, host) for index, host in enumerate(self._hosts)]
        if self._control.stop.is_set() and not self._control.halt.is_set():
            finish(self._book, self._name, "Stopped")
            return
        self._book.change(self._name, SecondaryStatus="Training")
        metrics = metric_reader(self._room.account, self._doc, self._name, curve_listener(self._room, self._doc))
        processes = JobProcesses(self._room, self._book.kind.log_group, self._name, self._folder, metrics)
        outcome = processes.run(commands, self._control, limit_s=self._doc["StoppingCondition"]["MaxRuntimeInSeconds"])
        self._book.change(self._name, FinalMetricDataList=metrics.final())
        self._finish(outcome)

    def opt_ml(self, index: int) -> Path:
        """The first host's folder is the job's own; each further host has one beside it."""
        return self._folder / "opt" / "ml" if index == 0 else self._folder / "hosts" / self._hosts[index] / "opt" / "ml"

    def _lay_out(self) -> None:
        """Empty folders; what an earlier, interrupted run left is dropped, its checkpoints are kept."""
        for index in range(len(self._hosts)):
            root = self.opt_ml(index)
            for child in root.iterdir() if root.exists() else ():
                if not self._checkpoints(root).is_relative_to(child):
                    shutil.rmtree(child)
            for part in ("input/data", "model", "output/data", "output/intermediate", "code"):
                (root / part).mkdir(parents=True, exist_ok=True)
            self._checkpoints(root).mkdir(parents=True, exist_ok=True)

    def _checkpoints(self, root: Path) -> Path:
        given = self._doc.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
        return Path(opt_ml.rewrite(given, root))

    def _prepare(self, index: int, host: str) -> HostCommand:
        root = self.opt_ml(index)
        config = write_config(root, self._doc, host, self._hosts)
        for channel in self._doc.get("InputDataConfig", []):
            objects = select(self._s3, channel["DataSource"]["S3DataSource"], index, len(self._hosts))
            download(self._s3, objects, root / "input" / "data" / channel["ChannelName"])
        self._restore_checkpoints(root)
        argv, programs = self._program(root)
        account = self._room.account
        environment = {
            **account.child_environment(account.credentials_for(self._doc["RoleArn"], self._name)),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(root / "code"),
            **toolkit_variables(root, self._doc, config),
            "TRAINING_JOB_NAME": self._name,
            "TRAINING_JOB_ARN": self._doc["TrainingJobArn"],
            **{key: opt_ml.rewrite(value, root) for key, value in self._doc.get("Environment", {}).items()},
        }
        command, hint = opt_ml.command(argv, root, programs)
        return HostCommand(host, command, environment, root / "code", hint)

    def _program(self, root: Path) -> tuple[list[str], list[Path]]:
        """Script mode, or the container's own entrypoint; with the files that are the program."""
        parameters = decoded(self._doc.get("HyperParameters", {}))
        if PROGRAM in parameters:
            code = self._fetch_code(root, str(parameters.get(SUBMIT_DIRECTORY, "")))
            program = code / str(parameters[PROGRAM])
            if not program.is_file():
                raise JobFailed(
                    f"ClientError: No file named {parameters[PROGRAM]!r} was found in {parameters.get(SUBMIT_DIRECTORY)!r}"
                )
            words = arguments(user_parameters(self._doc.get("HyperParameters", {})))
            shell = program.suffix == ".sh"
            first = ["/bin/sh", str(program)] if shell else opt_ml.own_python(["python", str(parameters[PROGRAM])])
            return [*first, *words], [*code.rglob("*.py"), program]
        specification = self._doc["AlgorithmSpecification"]
        entrypoint = [*specification.get("ContainerEntrypoint", []), *specification.get("ContainerArguments", [])]
        if not entrypoint:
            raise JobFailed(
                "ClientError: the local account runs no images: give hyperparameters sagemaker_program and "
                "sagemaker_submit_directory (script mode), or AlgorithmSpecification.ContainerEntrypoint"
            )
        argv = opt_ml.own_python([opt_ml.rewrite(word, root) for word in entrypoint])
        return argv, [Path(word) for word in argv[1:]]

    def _fetch_code(self, root: Path, submitted: str) -> Path:
        code = root / "code"
        if not submitted.startswith("s3://"):
            raise JobFailed(f"ClientError: {SUBMIT_DIRECTORY} is {submitted!r}; expected the s3:// URI of a tar.gz")
        archive = fetch(self._s3, submitted, self._folder / "sourcedir.tar.gz")
        try:
            unpack(archive, code)
        except BadArchive as error:
            raise JobFailed(f"ClientError: {error}") from None
        return code

    def _restore_checkpoints(self, root: Path) -> None:
        """Checkpoints of S3 go under those that are here: what a crashed run wrote last is newer."""
        if "CheckpointConfig" not in self._doc:
            return
        found = list_prefix(self._s3, self._doc["CheckpointConfig"]["S3Uri"].rstrip("/") + "/")
        missing = [o for o in found if not (self._checkpoints(root) / o.relative).exists()]
        download(self._s3, missing, self._checkpoints(root))

    def _finish(self, outcome: Outcome) -> None:
        failure = self._failure(outcome)
        if failure is not None:
            self._upload(model=False)
            raise JobFailed(outcome.explained(failure))
        self._book.change(self._name, SecondaryStatus="Uploading")
        self._upload()
        if outcome.ending is Ending.OUT_OF_TIME:
            finish(self._book, self._name, "Stopped", "MaxRuntimeExceeded")
        elif outcome.ending is Ending.STOPPED:
            finish(self._book, self._name, "Stopped")
        else:
            finish(self._book, self._name, "Completed")

    def _failure(self, outcome: Outcome) -> str | None:
        if outcome.ending is not Ending.EXITED or outcome.exit_code == 0:
            return None
        file = self.opt_ml(outcome.host) / "output" / "failure"
        if file.is_file():
            return f"AlgorithmError: {file.read_text(errors='replace')[:900].strip()}, exit code: {outcome.exit_code}"
        if outcome.exit_code == KILLED:
            return f"{OUT_OF_MEMORY}, exit code: {KILLED}"
        parameters = user_parameters(self._doc.get("HyperParameters", {}))
        program = decoded(self._doc.get("HyperParameters", {})).get(PROGRAM, "container entrypoint")
        command = shlex.join(["python", str(program), *arguments(parameters)])
        return (
            f"AlgorithmError: ExecuteUserScriptError:\nExitCode {outcome.exit_code}\n"
            f'ErrorMessage "{last_words(outcome.tail)}"\nCommand "{command[:300]}", exit code: {outcome.exit_code}'
        )

    def _upload(self, model: bool = True) -> None:
        target: Answer = self._doc["OutputDataConfig"]
        uri = f"{target['S3OutputPath'].rstrip('/')}/{self._name}/output"
        merged: list[tuple[str, str]] = [("model", "model")] if model else []
        for part, archive in [*merged, ("output/data", "output")]:
            self._upload_part(part, archive, uri, plain=target.get("CompressionType") == "NONE")
        checkpoints: dict[str, Any] = self._doc.get("CheckpointConfig", {})
        if checkpoints:
            upload_folder(self._s3, self._checkpoints(self.opt_ml(0)), checkpoints["S3Uri"])

    def _upload_part(self, part: str, archive: str, uri: str, *, plain: bool) -> None:
        """One folder of all hosts; a name that two hosts wrote is the first host's."""
        folder = self.opt_ml(0) / part
        for index in range(1, len(self._hosts)):
            other = self.opt_ml(index) / part
            for path in regular_files(other):
                target = folder / path.relative_to(other)
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
        if not regular_files(folder):
            return
        if plain:
            upload_folder(self._s3, folder, f"{uri}/{archive}")
            return
        packed = self._folder / f"{archive}.tar.gz"
        pack(folder, packed)
        upload_file(self._s3, packed, f"{uri}/{archive}.tar.gz")


def last_words(tail: list[str]) -> str:
    """The end of the log, where a program says why it ended: from the last traceback's start, at most 500 characters."""
    spoken = [line for line in tail if line.strip()]
    return json.dumps("\n".join(spoken[-3:])[-500:], ensure_ascii=False)[1:-1]
