"""DataProcessing of a transform job: which part of a record the model meets, and what of record and answer is written.

Standard library only: it runs beside a model's code. Of JSONPath what SageMaker takes: `$`, `$.name`, `$['name']`, `$['a','b']`, `$[0]`,
`$[0,2]`, `$[1:]`, `$[1:3]`, `$[-1]`, one after the other. A record of CSV is the list of its cells, a joined one has the answer's cells behind
them; a joined JSON record has the answer under `SageMakerOutput`, and itself under `SageMakerInput` where it is no object.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<inside>[^\]]+)\]")
_NAME = re.compile(r"\s*'([^']+)'\s*")
_RANGE = re.compile(r"\s*(-?\d*)\s*:\s*(-?\d*)\s*")
CSV, JSON = "text/csv", ("application/json", "application/jsonlines")


class BadPath(ValueError):
    """A filter that is no JSONPath of the kind that transform jobs take, or finds nothing."""


@dataclass(frozen=True, slots=True)
class Filters:
    """`input`, `output`: JSONPaths; `join`: whether the record stands before its answer."""

    input: str = "$"
    output: str = "$"
    join: bool = False

    @property
    def idle(self) -> bool:
        return self == Filters()

    def check(self, content_type: str, split: bool) -> None:
        """Refuse what no job can do.

        Raises
        ------
        BadPath
            With the sentence for the caller.
        """
        for path in (self.input, self.output):
            _steps(path)
        if self.idle:
            return
        if media_type(content_type) not in (CSV, *JSON):
            raise BadPath(f"DataProcessing needs the ContentType {CSV}, {' or '.join(JSON)}, not {content_type!r}")
        if not split:
            raise BadPath("DataProcessing needs the SplitType Line: it works record by record")

    def asked(self, records: Sequence[bytes], content_type: str) -> list[bytes]:
        """What the model meets of each record."""
        read, write = _form(content_type)
        return [write(select(read(record), self.input)) for record in records]

    def answered(self, records: Sequence[bytes], answer: bytes, content_type: str, accept: str) -> bytes:
        """What is written, a line a record.

        Raises
        ------
        BadPath
            If there are not as many answers as records.
        """
        read, _ = _form(content_type)
        read_answer, write = _form(accept or content_type)
        lines = [line for line in answer.splitlines() if line.strip()]
        if len(lines) != len(records):
            raise BadPath(
                f"{len(records)} records were asked and {len(lines)} answered: nothing can be joined or filtered"
            )
        rows = [read_answer(line) for line in lines]
        if self.join:
            rows = [_joined(read(record), row) for record, row in zip(records, rows, strict=True)]
        return b"\n".join(write(select(row, self.output)) for row in rows) + b"\n"


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def select(value: Any, path: str) -> Any:
    """What a JSONPath finds in a record.

    Examples
    --------
    >>> select({"id": 1, "x": [1, 2, 3], "y": 0}, "$['id','x']")
    {'id': 1, 'x': [1, 2, 3]}
    >>> select(["a", "b", "c"], "$[1:]")
    ['b', 'c']
    """
    for step in _steps(path):
        try:
            value = step(value)
        except (KeyError, IndexError, TypeError):
            raise BadPath(f"the filter {path} finds nothing in a record") from None
    return value


def _steps(path: str) -> list[Callable[[Any], Any]]:
    rest, steps = path.removeprefix("$"), []
    if not path.startswith("$"):
        raise BadPath(f"the filter {path!r} does not begin with $")
    while rest:
        found = _STEP.match(rest)
        if found is None:
            raise BadPath(f"the filter {path!r} cannot be read from {rest!r} on")
        steps.append(_named(found["name"]) if found["name"] else _inside(found["inside"], path))
        rest = rest[found.end() :]
    return steps


def _named(name: str) -> Callable[[Any], Any]:
    return lambda value: value[name]


def _inside(text: str, path: str) -> Callable[[Any], Any]:
    if (found := _RANGE.fullmatch(text)) is not None:
        first, last = (int(part) if part else None for part in found.groups())
        return lambda value: _list(value)[first:last]
    parts = text.split(",")
    if all(_NAME.fullmatch(part) for part in parts):
        names = [part.strip()[1:-1] for part in parts]
        return _named(names[0]) if len(names) == 1 else lambda value: {name: value[name] for name in names}
    try:
        places = [int(part) for part in parts]
    except ValueError:
        raise BadPath(f"the filter {path!r} has [{text}]: expected names in quotes, numbers or a range") from None
    return lambda value: _list(value)[places[0]] if len(places) == 1 else [_list(value)[place] for place in places]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _joined(record: Any, answer: Any) -> Any:
    if isinstance(record, list) and isinstance(answer, list):
        return record + answer
    own = record if isinstance(record, dict) else {"SageMakerInput": record}
    return {**own, "SageMakerOutput": answer}


def _form(content_type: str) -> tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    """How a record is read and written."""
    return (_read_csv, _write_csv) if media_type(content_type) == CSV else (_read_json, _write_json)


def _read_json(record: bytes) -> Any:
    try:
        return json.loads(record)
    except ValueError as error:
        raise BadPath(f"a record is no JSON, it may have been cut off: {error}") from None


def _write_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _read_csv(record: bytes) -> list[str]:
    return next(csv.reader([record.decode("utf-8")]), [])


def _write_csv(value: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(value if isinstance(value, list) else [value])
    return out.getvalue().encode()
