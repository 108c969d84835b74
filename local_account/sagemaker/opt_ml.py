"""The `/opt/ml` contract in a folder of its own, so that many jobs can each have one on one machine."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from local_account.sagemaker.errors import JobFailed

_OPT_ML = re.compile(r"(?<![\w.\-])/opt/ml(?=$|[^\w.\-])")
_PYTHON = re.compile(r"(?:.*/)?python(?:3(?:\.\d+)?)?")
_LARGEST_SOURCE = 2 * 2**20
# Bind the job's folder over /opt/ml in a mount namespace of the process's own, then become the program.
_BIND = 'mount --bind "$1" /opt/ml && shift && exec "$@"'


def rewrite(text: str, opt_ml: Path) -> str:
    """Every path `/opt/ml…` in a text, made to point into the job's folder; `s3://bucket/opt/ml` stays as it is."""
    return _OPT_ML.sub(str(opt_ml).replace("\\", "\\\\"), text)


def own_python(argv: Sequence[str]) -> list[str]:
    """`python`, `python3`, `/usr/bin/python3.11`: whatever the image has, here it is this interpreter."""
    return [sys.executable, *argv[1:]] if _PYTHON.fullmatch(argv[0]) else list(argv)


def command(argv: Sequence[str], opt_ml: Path, programs: Sequence[Path]) -> list[str]:
    """What to run, in a private mount namespace when one of the programs says `/opt/ml` itself.

    Raises
    ------
    JobFailed
        If that would be needed and cannot be had here.
    """
    if not any(_says_opt_ml(path) for path in programs):
        return list(argv)
    unshare = shutil.which("unshare")
    if sys.platform != "linux" or os.geteuid() != 0 or unshare is None:
        raise JobFailed(
            "ClientError: the program names /opt/ml itself, which the local account can give it only as root on Linux; "
            "take paths from SM_* variables or from the container arguments"
        )
    Path("/opt/ml").mkdir(parents=True, exist_ok=True)  # an empty mount point; nothing is written to it outside
    return [unshare, "-m", "--", "/bin/sh", "-c", _BIND, "sh", str(opt_ml), *argv]


def _says_opt_ml(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size > _LARGEST_SOURCE:
        return False
    return b"/opt/ml" in path.read_bytes()
