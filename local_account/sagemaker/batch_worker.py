"""The container of a transform job: the model's `code/inference.py` over a folder of files.

    python -P batch_worker.py SETTINGS.json

Every input file becomes one `.out` file of the same name. Settings: `model_dir, inputs, outputs, content_type, accept, split` (by
line or not), `single` (one record a call), `payload_bytes`, `assemble` (answers one a line or end to end), `workers` (processes with
a model each: as many calls at a time), `retries` (of a call whose model failed), `filters` (`batch_filters.Filters`).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

Batch = list[bytes]


def batches(body: bytes, *, split: bool, single: bool, payload_bytes: int) -> Iterator[Batch]:
    """A file's calls as lists of records: the whole file, a line each, or as many lines as fit into a payload.

    Raises
    ------
    ValueError
        If a single record is larger than the payload may be.
    """
    batch: Batch = []
    size = 0
    for record in [line for line in body.splitlines() if line] if split else [body]:
        if len(record) > payload_bytes:
            raise ValueError(f"a record of {len(record)} bytes is larger than MaxPayloadInMB")
        if batch and (single or size + len(record) + 1 > payload_bytes):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield batch


def beside(name: str) -> Any:
    """A module of this folder, whose package is not on the path of a container."""
    known = f"understudy_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, Path(__file__).with_name(f"{name}.py"))
        if spec is None or spec.loader is None:
            raise ImportError(f"{name} is no module")
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]


@cache
def load(model_dir: str) -> Any:
    """The model, once a process."""
    program = os.environ.get("SAGEMAKER_PROGRAM", "inference.py").removesuffix(".py")
    return beside("variant_worker").Model(importlib.import_module(program), model_dir)


def call(settings: dict[str, Any], batch: Batch) -> bytes:
    """One call: the answer to a batch, tried again where the model, not the caller, was at fault."""
    filters = beside("batch_filters").Filters(**settings["filters"])
    content_type, accept = settings["content_type"], settings["accept"]
    asked = batch if filters.idle else filters.asked(batch, content_type)
    model = load(settings["model_dir"])
    for attempt in range(settings["retries"] + 1):
        try:
            _, _, answer = model.answer(b"\n".join(asked), content_type, accept)
            break
        except beside("variant_worker").BadRequest:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model raises is an answer of it
            traceback.print_exc()
            if attempt == settings["retries"]:  # by its text: a model's own exception may not cross between processes
                raise RuntimeError(f"{type(error).__name__}: {error}") from None
    whole: bytes = answer if filters.idle else filters.answered(batch, answer, content_type, accept)
    return whole + b"\n" if settings["assemble"] and not whole.endswith(b"\n") else whole


def transform(settings: dict[str, Any]) -> int:
    """Answer every file; how many there were. One that cannot be answered ends the job, its name in the error's notes."""
    inputs, outputs = Path(settings["inputs"]), Path(settings["outputs"])
    cut = {"split": settings["split"], "single": settings["single"], "payload_bytes": settings["payload_bytes"]}
    files = sorted(path for path in inputs.rglob("*") if path.is_file())
    with _Calls(settings) as calls:
        for source in files:
            name = source.relative_to(inputs)
            target = outputs / name.parent / f"{name.name}.out"
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                try:
                    for answer in calls.answers(batches(source.read_bytes(), **cut)):
                        out.write(answer)
                except Exception as error:
                    error.add_note(name.as_posix())
                    raise
            print(f"transformed {name}", flush=True)  # noqa: T201 - the container's log
    return len(files)


class _Calls:
    """Calls one after the other in this process, or several at a time in processes of their own, answers in order."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._ask, workers = partial(call, settings), settings["workers"]
        self._pool = ProcessPoolExecutor(workers, get_context("fork")) if workers > 1 else None

    def __enter__(self) -> _Calls:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def answers(self, asked: Iterable[Batch]) -> Iterator[bytes]:
        return map(self._ask, asked) if self._pool is None else self._pool.map(self._ask, asked)


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    refusals = (beside("variant_worker").BadRequest, beside("batch_filters").BadPath)
    try:
        transform(settings)
    except refusals as error:
        where = "".join(f"{note}: " for note in getattr(error, "__notes__", []))
        sys.exit(f"{where}Bad HTTP status received from algorithm: 400: {error}")


if __name__ == "__main__":
    main()
