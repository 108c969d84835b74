"""The `/opt/ml` contract in a folder of its own, so that many jobs can each have one on one machine."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_OPT_ML = re.compile(r"(?<![\w.\-])/opt/ml(?=$|[^\w.\-])")
_PYTHON = re.compile(r"(?:.*/)?python(?:3(?:\.\d+)?)?")
_NO_NAMESPACE = (
    "The program names /opt/ml itself, which the local account can give it only as root on Linux; "
    "take paths from SM_* variables or from the container arguments."
)
_LARGEST_SOURCE = 2 * 2**20
# Bind the job's folder over /opt/ml in a mount namespace of the process's own, then become the program.
_BIND = 'mount --bind "$1" /opt/ml && shift && exec "$@"'


def rewrite(text: str, opt_ml: Path) -> str:
    """Every path `/opt/ml…` in a text, made to point into the job's folder; `s3://bucket/opt/ml` stays as it is."""
    return _OPT_ML.sub(str(opt_ml).replace("\\", "\\\\"), text)


def own_python(argv: Sequence[str]) -> list[str]:
    """`python`, `python3`, `/usr/bin/python3.11`: whatever the image has, here it is this interpreter."""
    return [sys.executable, *argv[1:]] if _PYTHON.fullmatch(argv[0]) else list(argv)


def command(argv: Sequence[str], opt_ml: Path, programs: Sequence[Path]) -> tuple[list[str], str]:
    """What to run: in a private mount namespace when one of the programs says `/opt/ml` itself and one can be had.

    Returns
    -------
    tuple
        The command, and a sentence for the failure reason, should the program fail for want of a namespace; else "".
    """
    if not any(_says_opt_ml(path) for path in programs):
        return list(argv), ""
    unshare = shutil.which("unshare")
    if sys.platform != "linux" or os.geteuid() != 0 or unshare is None:
        return list(argv), _NO_NAMESPACE
    Path("/opt/ml").mkdir(parents=True, exist_ok=True)  # an empty mount point; nothing is written to it outside
    return [unshare, "-m", "--", "/bin/sh", "-c", _BIND, "sh", str(opt_ml), *argv], ""


def _says_opt_ml(path: Path) -> bool:
    """Whether a program's strings hold `/opt/ml`; what its docstrings say is no path."""
    if not path.is_file() or path.stat().st_size > _LARGEST_SOURCE:
        return False
    source = path.read_bytes()
    if b"/opt/ml" not in source:
        return False
    if path.suffix != ".py":
        return True
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return True
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in said]
    return any(isinstance(string, str) and "/opt/ml" in string for string in strings)
