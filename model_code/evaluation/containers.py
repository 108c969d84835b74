"""Ask a release's models as its endpoint would: by the code in its own archive, in a process of its own.

Champion and candidate may carry different versions of the same modules; one process could only import one of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from features.job import JobFailed

ASK = Path(__file__).with_name("ask_container.py")
TIMEOUT_S = 900  # far beyond the slowest evaluation; a model that hangs must not hang the night


def ask(model: Path, requests: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Answers of an unpacked model to requests (content type, body), in order.

    Raises
    ------
    JobFailed
        If the model cannot be loaded or refuses a request; its own last line says why.
    """
    with tempfile.TemporaryDirectory() as scratch:
        asked, answers = Path(scratch) / "requests.jsonl", Path(scratch) / "answers.jsonl"
        asked.write_text("".join(json.dumps(request) + "\n" for request in requests), encoding="utf-8")
        command = [sys.executable, str(ASK), str(model), str(asked), str(answers)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise JobFailed(f"model {model.name} did not answer within {TIMEOUT_S} s") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise JobFailed(f"model {model.name} could not answer: {lines[-1]}")
        with answers.open(encoding="utf-8") as lines_of_answers:
            yield from map(json.loads, lines_of_answers)
