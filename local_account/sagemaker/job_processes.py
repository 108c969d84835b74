"""The processes of one job: started together, watched until they end, are stopped, or run out of time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import psutil

from local_account.processes import end, spawn
from local_account.sagemaker.job_logs import LogPump, MetricReader
from local_account.sagemaker.room import Room

STOP_GRACE_S = 120.0  # between SIGTERM and SIGKILL, as StopTrainingJob has it
_LOOK_S = 0.05


@dataclass(slots=True)
class Control:
    """How others reach a running job: `stop` is a Stop* call, `halt` is the account going down."""

    stop: threading.Event = field(default_factory=threading.Event)
    halt: threading.Event = field(default_factory=threading.Event)


class Halted(Exception):
    """The account goes down; the job stays as it is and is taken up again when the account comes back."""


class Ending(Enum):
    EXITED = "exited"
    STOPPED = "stopped"
    OUT_OF_TIME = "out of time"


@dataclass(frozen=True, slots=True)
class HostCommand:
    """What one host of a job runs."""

    host: str  # algo-1
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    hint: str = ""  # what a failure may come from


@dataclass(frozen=True, slots=True)
class Outcome:
    ending: Ending
    exit_code: int  # of the first host that failed, else 0; a killed process counts 128 + signal, as in a container
    host: int  # its index
    tail: list[str]
    hint: str = ""

    def explained(self, reason: str) -> str:
        return f"{reason} {self.hint}".rstrip()


class JobProcesses:
    def __init__(self, room: Room, group: str, job: str, folder: Path, metrics: MetricReader | None = None) -> None:
        self._room, self._group, self._job, self._folder, self._metrics = room, group, job, folder, metrics

    def run(self, commands: Sequence[HostCommand], control: Control, *, limit_s: float) -> Outcome:
        """Run every host's command to its end.

        Raises
        ------
        Halted
            If the account goes down first; the processes are ended then.
        """
        processes: list[subprocess.Popen[bytes]] = []
        pumps: list[LogPump] = []
        stamp = int(self._room.account.clock.epoch() * 1000)
        try:
            for command in commands:
                process = spawn(
                    command.argv, env=command.env, cwd=command.cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
                )
                processes.append(process)
                if process.stdout is None:
                    raise RuntimeError("a job's process has no output pipe")
                stream = f"{self._job}/{command.host}-{stamp}"
                pumps.append(LogPump(self._room.account, self._group, stream, process.stdout, self._metrics))
            self._remember(processes)
            ending = self._watch(processes, pumps, control, limit_s)
        finally:
            _end_all(processes, grace_s=0.0)
            for pump in pumps:
                pump.close()
        return _outcome(ending, processes, pumps, commands[0].hint)

    def _watch(
        self, processes: list[subprocess.Popen[bytes]], pumps: list[LogPump], control: Control, limit_s: float
    ) -> Ending:
        deadline = time.monotonic() + limit_s
        while True:
            codes = [process.poll() for process in processes]
            if all(code is not None for code in codes) or any(codes):
                return Ending.EXITED
            if control.halt.is_set():
                _end_all(processes, grace_s=2.0)
                raise Halted
            if control.stop.is_set() or time.monotonic() >= deadline:
                _end_all(processes, STOP_GRACE_S, control.halt)
                return Ending.STOPPED if control.stop.is_set() else Ending.OUT_OF_TIME
            for pump in pumps:
                pump.flush_if_due()
            control.stop.wait(_LOOK_S)

    def _remember(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Write the groups down, for the account that finds them after a crash (`end_leftovers`)."""
        rows = [{"group": p.pid, "started": _start_ticks(p.pid)} for p in processes]
        (self._folder / "processes.json").write_text(json.dumps(rows))


def end_leftovers(folder: Path) -> None:
    """Kill what a crashed account left of a job. A pid that now is another process's is told by its start time."""
    file = folder / "processes.json"
    if not file.exists():
        return
    for row in json.loads(file.read_text()):
        if row["started"] is not None and _start_ticks(row["group"]) == row["started"]:
            os.killpg(row["group"], signal.SIGKILL)
    file.unlink()


def _start_ticks(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _end_all(
    processes: Sequence[subprocess.Popen[bytes]], grace_s: float, hurry: threading.Event | None = None
) -> None:
    """SIGTERM to every group, SIGKILL to what is left after the grace, or at once when `hurry` is set meanwhile."""
    if grace_s:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(p.poll() is None for p in processes):
        if hurry is not None and hurry.wait(_LOOK_S):
            break
        if hurry is None:
            time.sleep(_LOOK_S)
    for process in processes:
        end(process, grace_s=0.0)


def _outcome(
    ending: Ending, processes: Sequence[subprocess.Popen[bytes]], pumps: Sequence[LogPump], hint: str
) -> Outcome:
    codes = [p.returncode if p.returncode >= 0 else 128 - p.returncode for p in processes]
    # When one host fails the others are killed: the reason is the host that ended by itself.
    failed = next((i for i, code in enumerate(codes) if code not in (0, 128 + signal.SIGKILL)), None)
    if failed is None:
        failed = next((i for i, code in enumerate(codes) if code), 0)
    return Outcome(ending, codes[failed], failed, list(pumps[failed].tail), hint)
