"""Run one model archive's code/inference.py over a file of requests. Started by `containers.ask`, as a process.

usage: ask_container.py MODEL_DIR REQUESTS ANSWERS   ([content type, body] as JSON, one a line; JSON answers, one a line)
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    model_dir, requests, answers = sys.argv[1:]
    here = Path(__file__).resolve().parent
    # Nothing but the archive's own modules may answer: ours, of the same names, may be another version.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() not in (here, here.parent)]
    sys.path.insert(0, str(Path(model_dir) / "code"))
    container = importlib.import_module("inference")
    model = container.model_fn(model_dir)
    with open(requests, encoding="utf-8") as lines, open(answers, "wb") as sink:
        for content_type, body in map(json.loads, lines):
            data = container.input_fn(body.encode(), content_type)
            answer = container.output_fn(container.predict_fn(data, model), "application/json")
            sink.write((answer if isinstance(answer, bytes) else answer.encode()) + b"\n")


if __name__ == "__main__":
    main()
