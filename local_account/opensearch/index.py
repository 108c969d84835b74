"""One index: documents in, and a view of them that searches share without a lock."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from local_account.opensearch.columns import Column, KeywordColumn, NumberColumn
from local_account.opensearch.graph import Graph
from local_account.opensearch.growing import Growing
from local_account.opensearch.mapping import NUMBERS, Mapping
from local_account.opensearch.operations import Done, Operation, check
from local_account.opensearch.storage import Block, Storage


@dataclass(slots=True)
class View:
    """What is searchable: rows [0, n), of which `live` ones count. Never changed; a refresh makes a new one."""

    n: int
    live: np.ndarray  # bool (n,)
    count: int  # live rows
    matrix: np.ndarray  # float32 (n, dimension)


class Index:
    """Documents by id, columns for filters, vectors with their graph; durable before a bulk is answered."""

    def __init__(self, name: str, record: dict[str, Any], folder: Path) -> None:
        self.name, self.record = name, record
        self.uuid: str = record["uuid"]
        self.mapping = Mapping(record["mappings"])
        self.columns: dict[str, Column] = {}
        vector = self.mapping.vector
        self._dimension = vector.dimension if vector else 0
        self._storage = Storage(folder, self._dimension)
        self.graph = Graph(vector, folder / "graph.faiss") if vector else None
        self._ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._versions: dict[str, int] = {}  # of ids written more than once
        self._starts, self._lengths = Growing(np.int64), Growing(np.int32)
        self._sequences, self._present = Growing(np.int64), Growing(np.bool_)
        self._sequence = 0
        self._dead: list[int] = []  # rows replaced or deleted since the last refresh
        self._write, self._publish = threading.RLock(), threading.Lock()
        self.view = View(0, np.empty(0, np.bool_), 0, self._storage.matrix(0))
        self.refreshed = time.monotonic()
        self._written = 0.0  # when a bulk last came
        self._load()

    @property
    def refresh_s(self) -> float | None:
        """Seconds after which written documents are found without being asked for; None for never."""
        text = str(self.record["settings"].get("refresh_interval", "1s"))
        return (
            None
            if text.startswith("-1")
            else float(text.removesuffix("ms")) / 1000
            if text.endswith("ms")
            else float(text.rstrip("s"))
        )

    def apply(self, operations: list[Operation]) -> list[Done]:
        """Check, order and write a bulk's operations on this index; on disk when it returns."""
        with self._write:
            block = Block(vectors=np.empty((0, self._dimension), np.float32) if self._dimension else None)
            vectors: list[Any] = []
            documents: list[dict[str, Any]] = []
            first = len(self._ids)
            rows: dict[str, int | None] = {}  # ids this bulk touched -> their row, None when deleted
            done = [self._plan(one, block, documents, vectors, rows, first) for one in operations]
            if block.operations:
                if self._dimension:
                    block.vectors = np.array(vectors, np.float32).reshape(-1, self._dimension)
                self._storage.append(block)
                self._take(block, documents)
                self._written = time.monotonic()
            return done

    def refresh(self) -> None:
        """Make what was written searchable."""
        with self._publish:
            with self._write:
                n, dead, self._dead = len(self._ids), self._dead, []
            self.refreshed = time.monotonic()
            old = self.view
            if n == old.n and not dead:
                return
            live = np.ones(n, np.bool_)
            live[: old.n] = old.live
            live[dead] = False
            self.view = View(n, live, int(np.count_nonzero(live)), self._storage.matrix(n))

    def searchable(self) -> View:
        """The current view, refreshed first when its interval has passed."""
        interval = self.refresh_s
        if interval is not None and time.monotonic() - self.refreshed >= interval:
            self.refresh()
        return self.view

    def get(self, key: str) -> dict[str, Any] | None:
        """A document by id as it was last written, whether refreshed or not."""
        with self._write:
            row = self._row_of.get(key)
            if row is None:
                return None
            sequence = int(self._sequences.view(row + 1)[row])
        source = orjson.Fragment(self.source(row))
        found = {"_version": self._versions.get(key, 1), "_seq_no": sequence, "_primary_term": 1, "found": True}
        return {"_index": self.name, "_id": key, **found, "_source": source}

    def key(self, row: int) -> str:
        return self._ids[row]

    def source(self, row: int) -> bytes:
        return self._storage.source(int(self._starts.view(row + 1)[row]), int(self._lengths.view(row + 1)[row]))

    def sources(self, rows: np.ndarray) -> list[bytes]:
        """Stored sources of rows, as they were serialised when written."""
        top = int(rows.max()) + 1 if len(rows) else 0
        starts, lengths = self._starts.view(top)[rows].tolist(), self._lengths.view(top)[rows].tolist()
        return [self._storage.source(start, length) for start, length in zip(starts, lengths, strict=True)]

    @property
    def quiet_s(self) -> float:
        """Seconds since the last bulk: while more may come, the processor is better left to them than to the graph."""
        return time.monotonic() - self._written

    def rows_of(self, keys: list[str], n: int) -> np.ndarray:
        rows = [row for key in keys if (row := self._row_of.get(key)) is not None and row < n]
        return np.array(rows, np.int64)

    def present(self, n: int) -> np.ndarray:
        """Rows that have a vector."""
        return self._present.view(n)

    def build_graph(self, stopping: threading.Event, *, wait: bool = False) -> None:
        """Bring the graph up to what is searchable; with `wait` it is when this returns, whoever builds meanwhile."""
        if self.graph is not None:
            self.graph.build(self.view.matrix, stopping, wait=wait)

    def size(self) -> int:
        return self._storage.size()

    def close(self) -> None:
        if self.graph is not None:
            self.graph.close()
        with self._publish, self._write:
            self._storage.close()

    def _plan(
        self,
        one: Operation,
        block: Block,
        documents: list[dict[str, Any]],
        vectors: list[Any],
        rows: dict[str, int | None],
        first: int,
    ) -> Done:
        key = one.key
        row = rows[key] if key in rows else self._row_of.get(key)
        if one.action == "delete":
            version = self._next_version(key, row is not None)
            if row is None:
                return Done(404, "not_found", version, self._next_sequence())
            rows[key] = None
            block.operations.append(("d", key))
            return Done(200, "deleted", version, self._next_sequence())
        if one.action == "create" and row is not None:
            return Done(409, error=self._conflict(key))
        document, raw = one.document, one.raw
        if one.action == "update":
            if row is None and not document.get("doc_as_upsert"):
                return Done(404, error={"type": "document_missing_exception", "reason": f"[{key}]: document missing"})
            document = {
                **(orjson.loads(self._latest_source(row, block, first)) if row is not None else {}),
                **document["doc"],
            }
            raw = orjson.dumps(document)
        source, vector, error = check(self.mapping, key, document, raw)
        if error is not None:
            return Done(400, error=error)
        version = self._next_version(key, row is not None)
        rows[key] = first + len(documents)
        block.operations.append(("i", key))
        block.sources.append(source)
        documents.append(document)
        if self._dimension:
            vectors.append(vector if vector is not None else [np.nan] * self._dimension)
        created = row is None
        return Done(201 if created else 200, "created" if created else "updated", version, self._next_sequence())

    def _latest_source(self, row: int, block: Block, first: int) -> bytes:
        return block.sources[row - first] if row >= first else self.source(row)

    def _conflict(self, key: str) -> dict[str, Any]:
        version = self._versions.get(key, 1)
        reason = f"[{key}]: version conflict, document already exists (current version [{version}])"
        return {
            "type": "version_conflict_engine_exception",
            "reason": reason,
            "index": self.name,
            "shard": "0",
            "index_uuid": self.uuid,
        }

    def _next_version(self, key: str, exists: bool) -> int:
        if exists or key in self._versions:
            self._versions[key] = self._versions.get(key, 1) + 1
            return self._versions[key]
        return 1

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _take(self, block: Block, documents: list[dict[str, Any]]) -> None:
        """Bring a written block into memory: ids, where its sources lie, columns."""
        first, position = len(self._ids), block.offset
        starts = []
        for source in block.sources:
            starts.append(position)
            position += len(source)
        row = first
        for kind, key in block.operations:
            old = self._row_of.pop(key, None)
            if old is not None:
                self._dead.append(old)
            if kind == "i":
                self._row_of[key] = row
                self._ids.append(key)
                row += 1
        self._starts.extend(starts)
        self._lengths.extend([len(source) for source in block.sources])
        self._sequences.extend(np.arange(self._sequence - len(starts), self._sequence))
        present = ~np.isnan(block.vectors[:, 0]) if block.vectors is not None else np.zeros(len(starts), np.bool_)
        self._present.extend(present)
        for name, part_of, kind in self.mapping.filterable():
            column = self._column(name, kind, first)
            column.extend([document.get(part_of) for document in documents])

    def _column(self, name: str, kind: str, rows: int) -> Column:
        column = self.columns.get(name)
        if column is None:
            column = self.columns[name] = NumberColumn() if kind in NUMBERS else KeywordColumn()
        column.pad(rows)
        return column

    def _load(self) -> None:
        for block in self._storage.blocks():
            self._sequence += len(block.operations)
            self._take(block, [orjson.loads(source) for source in block.sources])
        self.refresh()
        if self.graph is not None:
            self.graph.load(self.view.n)
