"""`python -m local_account`: one account per folder, the same keys and port every time, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local_account import lifecycle


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local_account", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_up_down_and_up_again_keep_keys_and_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("status", "--state", str(tmp_path)).returncode == 3
    monkeypatch.setenv("AWS_PROFILE", "of-another-account")
    up = run("up", "--state", str(tmp_path))
    assert up.returncode == 0, up.stderr
    url = up.stdout.strip()
    try:
        keys = (tmp_path / "credentials").read_text()
        assert stat.S_IMODE((tmp_path / "credentials").stat().st_mode) == 0o600
        assert "aws_access_key_id" in keys
        assert f"endpoint_url = {url}" in (tmp_path / "config").read_text()
        assert run("up", "--state", str(tmp_path)).stdout.strip() == url, "a second up finds the first"
        other = run("serve", "--state", str(tmp_path))
        assert (other.returncode, "already" in other.stderr) == (1, True)
        assert url in run("status", "--state", str(tmp_path)).stdout
    finally:
        assert run("down", "--state", str(tmp_path)).returncode == 0
    assert run("status", "--state", str(tmp_path)).stdout.strip() == "down"
    assert lifecycle.up(tmp_path).url == url
    assert (tmp_path / "credentials").read_text() == keys
    assert lifecycle.down(tmp_path)
    assert not lifecycle.down(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_foreground_account_ends_on_a_signal_with_all_its_children(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "local_account", "serve", "--state", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "endpoint").exists():
            assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, number)
        assert process.wait(30) == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert lifecycle.status(tmp_path) is None


def test_a_taken_port_is_said_and_a_port_of_the_last_time_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(lifecycle.AccountError, match=f"port {port} cannot be used"):
            lifecycle.up(tmp_path, port=port)
        (tmp_path / "endpoint.last").write_text(f"http://127.0.0.1:{port}")
        endpoint = lifecycle.up(tmp_path)
        assert not endpoint.url.endswith(f":{port}")
        assert lifecycle.down(tmp_path)
