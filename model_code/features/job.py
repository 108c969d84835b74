"""What every job does alike: arguments, progress lines, metrics for the log, and one clear sentence when it fails.

def main(arguments: argparse.Namespace) -> str: ...      # returns the exit message

if __name__ == "__main__":
    sys.exit(run(parser(), main))
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

MESSAGE_LIMIT_BYTES = 1024  # SageMaker cuts exit messages there
_started = time.monotonic()
_DISK_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file reached the largest size it may have",
}


class JobFailed(Exception):
    """The job cannot go on, and its input or environment is why; the text is the whole explanation, one sentence."""


def progress(text: str) -> None:
    """One line in the job's log, with the seconds since the start."""
    print(f"[{time.monotonic() - _started:7.1f} s] {text}", flush=True)  # noqa: T201  the log is standard output


def metric(**values: float) -> None:
    """Print `name=value;` as the metric definitions' regexes read it."""
    print(" ".join(f"{name}={value:.6g};" for name, value in values.items()), flush=True)  # noqa: T201


def job_parser(description: str) -> argparse.ArgumentParser:
    """A parser with what every processing job takes: `--message-file`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--message-file", type=Path, help="where the exit message goes, UTF-8, at most 1 KB")
    return parser


def failure_file() -> Path | None:
    """SageMaker's `/opt/ml/output/failure` of a training job, found beside SM_OUTPUT_DATA_DIR; None elsewhere."""
    data = os.environ.get("SM_OUTPUT_DATA_DIR")
    return Path(data).parent / "failure" if data else None


def run(
    parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], str], argv: Sequence[str] | None = None
) -> int:
    """Run a job and answer for it: 0 and its message, or 1 and one sentence on stderr's last line and in the files.

    A full disk is told as such, whoever met it. A `JobFailed` is told as it is, and so is a ValueError (bad manifest, bad
    declaration) below its traceback; anything else is a fault of the program: the traceback goes to the log first, the
    sentence names the exception. Of many processes of one training job, the first that fails is the one that is told.
    """
    arguments = parser.parse_args(argv)
    message_file, failure = getattr(arguments, "message_file", None), failure_file()
    try:
        message = main(arguments)
    except Exception as error:  # noqa: BLE001  the last line of defence: a job must always say why it ended
        if not isinstance(error, JobFailed):
            traceback.print_exc()
        others = failure if failure is not None and not failure.exists() else None
        return _fail(_reason(error), [file for file in (message_file, others) if file is not None])
    if message_file is not None:
        write_message(message_file, message)
    progress(message)
    return 0


def write_message(file: Path, text: str) -> None:
    """Write an exit message: UTF-8, cut to 1 KB at a character's end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode()[:MESSAGE_LIMIT_BYTES].decode(errors="ignore").encode())


def _reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:  # libraries wrap it: a refused archive may be a disk that took no more of it
        if (full := _disk_full(cause)) is not None:
            return full
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (JobFailed, ValueError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return f"{type(error).__name__}: {error}"


def _disk_full(error: BaseException) -> str | None:
    """A sentence, if this is the operating system's answer to a write that found no room.

    Writers in Rust and C++ (safetensors, Arrow) raise errors of their own that hold only its number or its text.
    """
    text = str(error)
    for number, sentence in _DISK_FULL.items():
        if getattr(error, "errno", None) == number or f"os error {number})" in text or os.strerror(number) in text:
            where = f" at {error.filename}" if isinstance(error, OSError) and error.filename else ""
            return f"{sentence}{where}: {os.strerror(number)}; give the job a larger volume (VolumeSizeInGB)"
    return None


def _fail(text: str, targets: Sequence[Path]) -> int:
    sentence = " ".join(text.split()) or "failed without a reason"
    for file in targets:
        try:
            write_message(file, sentence)
        except OSError as error:  # a full disk must not hide the reason itself
            print(f"{file} could not be written: {error}", file=sys.stderr)  # noqa: T201
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201
    return 1
