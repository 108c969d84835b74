"""From one process a host to one process a GPU: the training job starts itself again under torchrun where that is asked for.

SageMaker starts one process on each host and tells it who the others are (SM_HOSTS, SM_CURRENT_HOST, SM_NUM_GPUS).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.job import JobFailed, failure_file

PORT = 7777  # where rank 0 is met on a host of its own, as SageMaker's toolkit has it


@dataclass(frozen=True, slots=True)
class Ranks:
    """How a job is spread: `processes` on each of `hosts`, this host being number `host`."""

    processes: int
    hosts: int
    host: int
    master: str
    port: int

    def launcher(self) -> list[str]:
        """torchrun's own words: a rendezvous of its own on one host, rank 0's address on several."""
        words = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={self.processes}"]
        if self.hosts == 1:
            return [*words, "--standalone"]
        meeting = [f"--master-addr={self.master}", f"--master-port={self.port}"]
        return [*words, f"--nnodes={self.hosts}", f"--node-rank={self.host}", *meeting]


def plan_ranks(processes_per_host: int, environ: Mapping[str, str] = os.environ) -> Ranks | None:
    """The ranks of this job; None where one process is all there is, or this process is a rank already.

    Parameters
    ----------
    processes_per_host : int
        0 for one a GPU, at least one.
    environ
        MASTER_ADDR and MASTER_PORT, where given, win over the first host's name and `PORT`: hosts of the local account
        are names that no resolver knows.

    Raises
    ------
    JobFailed
        If SM_CURRENT_HOST is none of SM_HOSTS.
    """
    if "LOCAL_RANK" in environ:
        return None
    hosts = sorted(map(str, json.loads(environ.get("SM_HOSTS") or "[]"))) or ["algo-1"]
    current = environ.get("SM_CURRENT_HOST") or hosts[0]
    if current not in hosts:
        raise JobFailed(f"SM_CURRENT_HOST is {current!r}, which is none of {', '.join(hosts)}")
    processes = processes_per_host or max(1, int(environ.get("SM_NUM_GPUS") or 0))
    if processes * len(hosts) == 1:
        return None
    port = int(environ.get("MASTER_PORT") or PORT)
    return Ranks(processes, len(hosts), hosts.index(current), environ.get("MASTER_ADDR") or hosts[0], port)


def run_ranks(ranks: Ranks, program: Path, arguments: Sequence[str]) -> str:
    """Run this host's ranks to their end; SIGTERM goes on to them.

    Raises
    ------
    JobFailed
        With the sentence of the rank that failed first.
    """
    interface = os.environ.get("SM_NETWORK_INTERFACE_NAME")
    names = {name: interface for name in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME") if interface}
    command = [*ranks.launcher(), str(program), *arguments]
    with subprocess.Popen(command, env={**names, **os.environ}) as launched:
        before = signal.signal(signal.SIGTERM, lambda number, _: launched.send_signal(number))
        try:
            code = launched.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
    if code != 0:
        told = failure_file()
        said = told.read_text(encoding="utf-8") if told is not None and told.is_file() else ""
        raise JobFailed(said or f"a rank of host {ranks.host + 1} of {ranks.hosts} ended with exit code {code}")
    return f"{ranks.processes} ranks on host {ranks.host + 1} of {ranks.hosts} done"
