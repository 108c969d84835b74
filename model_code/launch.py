"""First thing every job runs: install what the image lacks, put the code on the path, run the program.

Training, as the SageMaker toolkit calls it (`sagemaker_program=launch.py`):

    python launch.py --epochs 3 --program two_tower/train.py

Processing, where SageMaker has no script mode:

    python3 /opt/ml/processing/input/code/launch.py features/prepare_data.py --as-of 2026-11-23T04:00:00Z ...

The code is beside this file, or in a `sourcedir.tar.gz` beside it. Wheels come from the channel or input `wheelhouse`, never from a
public index.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TRIAL = "--_tuning_objective_metric"  # SageMaker puts it among the hyperparameters of a tuning job's trials; no program's concern
ARCHIVE = "sourcedir.tar.gz"
MAX_BYTES = 64 * 1024 * 1024  # unpacked; the code is far below 1 MB


def split_program(arguments: list[str]) -> tuple[str, list[str]]:
    """The program and its own arguments, from either calling form.

    Examples
    --------
    >>> split_program(["--epochs", "3", "--program", "two_tower/train.py", "--seed", "1"])
    ('two_tower/train.py', ['--epochs', '3', '--seed', '1'])
    >>> split_program(["--_tuning_objective_metric", "auc", "--program", "ranker/train.py", "--seed", "1"])
    ('ranker/train.py', ['--seed', '1'])
    >>> split_program(["features/prepare_data.py", "--as-of", "x"])
    ('features/prepare_data.py', ['--as-of', 'x'])
    """
    if TRIAL in arguments:
        at = arguments.index(TRIAL)
        arguments = arguments[:at] + arguments[at + 2 :]
    if "--program" in arguments:
        at = arguments.index("--program")
        return arguments[at + 1], arguments[:at] + arguments[at + 2 :]
    if not arguments or arguments[0].startswith("-"):
        raise SystemExit("launch.py: name a program, e.g. features/prepare_data.py, first or after --program")
    return arguments[0], arguments[1:]


def unpack(archive: Path) -> Path:
    """The archive's Python and YAML files in a new folder; anything else in it is an error."""
    target = Path(tempfile.mkdtemp(prefix="code-"))
    with tarfile.open(archive, "r:gz") as tar:
        members = tar.getmembers()
        if sum(member.size for member in members) > MAX_BYTES:
            raise SystemExit(f"{archive} unpacks to more than {MAX_BYTES} bytes; it is not our code")
        for member in members:
            parts = Path(member.name).parts
            if (
                not member.isfile()
                or member.name.startswith("/")
                or ".." in parts
                or not member.name.endswith((".py", ".yaml", ".html", ".j2"))
            ):
                raise SystemExit(f"{archive} holds {member.name}, which is no code of ours")
            file = target / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            with tar.extractfile(member) as source:  # type: ignore[union-attr]
                file.write_bytes(source.read())
    return target


def install_wheels(folder: Path) -> None:
    """Install every wheel of the folder, offline; does nothing where there are none."""
    wheels = sorted(folder.glob("**/*.whl"))
    if wheels:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(folder)]
        subprocess.run([*command, *map(str, wheels)], check=True)


def main() -> None:
    here = Path(__file__).resolve().parent
    program, arguments = split_program(sys.argv[1:])
    root = unpack(here / ARCHIVE) if (here / ARCHIVE).exists() else here
    install_wheels(Path(os.environ.get("SM_CHANNEL_WHEELHOUSE", here.parent / "wheelhouse")))
    if not (root / program).is_file():
        raise SystemExit(f"launch.py: there is no {program} in the code; expected a path like two_tower/train.py")
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.argv = [program, *arguments]
    runpy.run_path(str(root / program), run_name="__main__")


if __name__ == "__main__":
    main()
