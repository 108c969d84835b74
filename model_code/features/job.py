"""What every job does alike: arguments, progress lines, metrics for the log, and one clear sentence when it fails.

def main(arguments: argparse.Namespace) -> str: ...      # returns the exit message

if __name__ == "__main__":
    sys.exit(run(parser(), main))
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

MESSAGE_LIMIT_BYTES = 1024  # SageMaker cuts exit messages there
_started = time.monotonic()


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

    A `JobFailed` is told as it is, and so is a ValueError (bad manifest, bad declaration) below its traceback; anything
    else is a fault of the program: the traceback goes to the log first, the sentence names the exception.
    """
    arguments = parser.parse_args(argv)
    targets = [file for file in (getattr(arguments, "message_file", None), failure_file()) if file is not None]
    try:
        message = main(arguments)
    except (JobFailed, ValueError) as error:
        if not isinstance(error, JobFailed):
            traceback.print_exc()
        return _fail(str(error), targets)
    except MemoryError:
        return _fail("out of memory", targets)
    except OSError as error:
        traceback.print_exc()
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", targets)
    except Exception as error:  # noqa: BLE001  the last line of defence: a job must always say why it ended
        traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error}", targets)
    if getattr(arguments, "message_file", None) is not None:
        write_message(arguments.message_file, message)
    progress(message)
    return 0


def write_message(file: Path, text: str) -> None:
    """Write an exit message: UTF-8, cut to 1 KB at a character's end."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode()[:MESSAGE_LIMIT_BYTES].decode(errors="ignore").encode())


def _fail(text: str, targets: Sequence[Path]) -> int:
    sentence = " ".join(text.split()) or "failed without a reason"
    for file in targets:
        try:
            write_message(file, sentence)
        except OSError as error:  # a full disk must not hide the reason itself
            print(f"{file} could not be written: {error}", file=sys.stderr)  # noqa: T201
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201
    return 1
