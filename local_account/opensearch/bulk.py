"""`_bulk`: lines in, one answer per action out, in order."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from local_account.opensearch.errors import failure, illegal_argument
from local_account.opensearch.index import Index
from local_account.opensearch.operations import Done, Operation

_ACTIONS = ("create", "delete", "index", "update")
_UNENDED = illegal_argument("The bulk request must be terminated by a newline [\\n]")
_UNREADABLE = {
    "type": "mapper_parsing_exception",
    "reason": "failed to parse",
}


@dataclass(slots=True)
class _Item:
    index: str
    operation: Operation
    done: Done | None = None


def bulk(
    body: bytes, default_index: str | None, index_of: Callable[[str], Index], new_id: Callable[[], str]
) -> tuple[bytes, set[str]]:
    """Answer of a bulk request and the indices it wrote to.

    Parameters
    ----------
    index_of
        Gives the index of a name, made when missing.

    Raises
    ------
    EngineError
        400 when the lines themselves are malformed; nothing is written then.
    """
    began = time.perf_counter()
    items = _read(body, default_index, new_id)
    by_index: defaultdict[str, list[_Item]] = defaultdict(list)
    for item in items:
        if item.done is None:
            by_index[item.index].append(item)
    written: dict[str, Index] = {}
    for name, group in by_index.items():
        written[name] = index = index_of(name)
        for item, done in zip(group, index.apply([item.operation for item in group]), strict=True):
            item.done = done
    errors = any(item.done is not None and item.done.error is not None for item in items)
    took = int((time.perf_counter() - began) * 1000)
    answers = b",".join([_answer(item, written) for item in items])
    head = b'{"took":%d,"errors":%b,"items":[' % (took, b"true" if errors else b"false")
    return head + answers + b"]}", set(by_index)


def _read(body: bytes, default_index: str | None, new_id: Callable[[], str]) -> list[_Item]:
    if not body:
        raise failure("parse_exception", "request body is required")
    if not body.endswith(b"\n"):
        raise _UNENDED
    items = []
    lines = enumerate(body.split(b"\n")[:-1], 1)
    for number, line in lines:
        if not line.strip():
            continue
        action, meta = _action(line, number)
        index = meta.get("_index", default_index)
        if index is None:
            raise failure("action_request_validation_exception", "Validation Failed: 1: index is missing;")
        item = _Item(index, Operation(action, str(meta["_id"]) if meta.get("_id") is not None else new_id()))
        if action != "delete":
            _, raw = next(lines, (0, None))
            if raw is None:
                raise _UNENDED
            _read_document(item, raw)
        items.append(item)
    return items


def _read_document(item: _Item, raw: bytes) -> None:
    operation = item.operation
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        item.done = Done(400, error=_unreadable(error))
        return
    if not isinstance(document, dict):
        item.done = Done(400, error=_unreadable("the document is no object"))
    elif operation.action == "update" and not isinstance(document.get("doc"), dict):
        raise failure("action_request_validation_exception", "Validation Failed: 1: script or doc is missing;")
    else:
        operation.document, operation.raw = document, raw


def _action(line: bytes, number: int) -> tuple[str, dict[str, Any]]:
    try:
        ((action, meta),) = orjson.loads(line).items()
    except (orjson.JSONDecodeError, ValueError, AttributeError):
        raise illegal_argument(
            f"Malformed action/metadata line [{number}], expected START_OBJECT or END_OBJECT"
        ) from None
    if action not in _ACTIONS:
        expected = f"expected one of [create, delete, index, update] but found [{action}]"
        raise illegal_argument(f"Malformed action/metadata line [{number}], {expected}")
    if not isinstance(meta, dict):
        raise illegal_argument(f"Malformed action/metadata line [{number}], expected START_OBJECT")
    return action, meta


def _unreadable(error: object) -> dict[str, Any]:
    cause = {"type": "json_parse_exception", "reason": str(error)}
    inner = {"type": "parse_exception", "reason": "Failed to parse content to map", "caused_by": cause}
    return {**_UNREADABLE, "caused_by": inner}


def _answer(item: _Item, written: dict[str, Index]) -> bytes:
    done, operation = item.done, item.operation
    assert done is not None  # noqa: S101  every item was read or applied
    name, key = orjson.dumps(item.index), orjson.dumps(operation.key)
    if done.error is not None:
        return b'{"%b":{"_index":%b,"_id":%b,"status":%d,"error":%b}}' % (
            operation.action.encode(), name, key, done.status, orjson.dumps(done.error),
        )  # fmt: skip
    copies = 1 + int(written[item.index].record["settings"]["number_of_replicas"])
    return (
        b'{"%b":{"_index":%b,"_id":%b,"_version":%d,"result":"%b","_shards":{"total":%d,"successful":1,"failed":0},'
        b'"_seq_no":%d,"_primary_term":1,"status":%d}}'
        % (operation.action.encode(), name, key, done.version, done.result.encode(), copies, done.sequence, done.status)
    )
