"""The container of a transform job: the model's `code/inference.py` over a folder of files.

    python -P batch_worker.py SETTINGS.json

Every input file becomes one `.out` file of the same name. Settings: `model_dir, inputs, outputs, content_type, accept, split` (by
line or not), `single` (one record a call), `payload_bytes`, `assemble` (answers one a line or end to end).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def batches(body: bytes, *, split: bool, single: bool, payload_bytes: int) -> Iterator[bytes]:
    """A file's calls: whole, a line each, or as many lines as fit into a payload.

    Raises
    ------
    ValueError
        If a single record is larger than the payload may be.
    """
    batch: list[bytes] = []
    size = 0
    for record in [line for line in body.splitlines() if line] if split else [body]:
        if len(record) > payload_bytes:
            raise ValueError(f"a record of {len(record)} bytes is larger than MaxPayloadInMB")
        if batch and (single or size + len(record) + 1 > payload_bytes):
            yield b"\n".join(batch)
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield b"\n".join(batch)


def transform(model: Any, settings: dict[str, Any]) -> int:
    inputs, outputs = Path(settings["inputs"]), Path(settings["outputs"])
    calls = {"split": settings["split"], "single": settings["single"], "payload_bytes": settings["payload_bytes"]}
    count = 0
    for source in sorted(path for path in inputs.rglob("*") if path.is_file()):
        name = source.relative_to(inputs)
        target = outputs / name.parent / f"{name.name}.out"
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            for batch in batches(source.read_bytes(), **calls):
                _, _, answer = model.answer(batch, settings["content_type"], settings["accept"])
                out.write(answer)
                if settings["assemble"] and not answer.endswith(b"\n"):
                    out.write(b"\n")
        count += 1
        print(f"transformed {name}", flush=True)  # noqa: T201 - the container's log
    return count


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    beside = Path(__file__).with_name("variant_worker.py")
    spec = importlib.util.spec_from_file_location("understudy_variant_worker", beside)
    if spec is None or spec.loader is None:
        raise ImportError(f"{beside} is no module")
    worker = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = worker
    spec.loader.exec_module(worker)
    program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py").removesuffix(".py")
    model = worker.Model(importlib.import_module(program), settings["model_dir"])
    try:
        transform(model, settings)
    except worker.BadRequest as error:
        sys.exit(f"Bad HTTP status received from algorithm: 400: {error}")


if __name__ == "__main__":
    main()
