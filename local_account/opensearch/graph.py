"""Nearest neighbours by inner product: exact where that is quick, a faiss HNSW graph where it is not.

A filter that keeps few rows makes the exact search the cheaper one. One that keeps many is answered from a wider beam,
and exactly where too few of what the beam found pass it. Rows the graph does not hold yet are searched exactly and
merged, so that every refreshed document is found at once, however far the graph has come.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np

from local_account.opensearch.mapping import VectorField

faiss: Any = _faiss  # its stubs know half of what its swig wrapper has

GRAPH_FROM = 120_000  # rows; below, exact search is as quick as the graph's beam (about 2 ms) and finds everything
_BEAM_REACHES = 333_000  # rows; a beam of 4 k + 400 finds .99 of the k nearest among so many, and less in more
_CHUNK = 512  # rows added between two looks at whether a search or a stop waits
_ROWS_PER_BEAM = 16  # an exact search over this many rows costs what one place of the beam does (measured)


class Graph:
    """HNSW over the first rows of a matrix; searches never wait for it to be built, and one builder is at work at a time."""

    def __init__(self, field: VectorField, file: Path) -> None:
        self._field, self._file = field, file
        self._index: Any = None
        self._kept = 0  # rows of the file
        self._searching = 0
        self._building = False
        self._turn = threading.Condition()
        self._one_builder = threading.Lock()
        self._closed = threading.Event()

    @property
    def size(self) -> int:
        return 0 if self._index is None else self._index.ntotal

    def load(self, rows: int) -> None:
        """Take up the graph that a build kept, if it is one of these rows; anything else on disk goes.

        A graph of more rows than there are must not stay: once more were written it would pass for theirs.
        """
        self._part.unlink(missing_ok=True)
        if not self._file.is_file():
            return
        try:
            index = faiss.read_index(str(self._file))
        except RuntimeError:  # how faiss says that a file ends too early
            index = None
        if index is not None and index.d == self._field.dimension and index.ntotal <= rows:
            self._index, self._kept = index, index.ntotal
        else:
            self._file.unlink()

    def build(self, matrix: np.ndarray, stopping: threading.Event, *, wait: bool = False) -> None:
        """Add the rows it lacks and keep the graph on disk; nothing where exact search is quick enough.

        One thread: on few cores, faiss's threads wait for each other longer than they work (docs/decisions).

        Parameters
        ----------
        matrix : float32 array of shape (N, D)
            Its first rows are the ones the graph holds already.
        stopping : Event
            Ends the build between two chunks, as `close` does; nothing is written then.
        wait : bool
            Return when all rows are in: after a build that is at work, this one adds what that one did not know of.
            Without it, a build that meets another leaves it the work.
        """
        if len(matrix) < GRAPH_FROM or not self._one_builder.acquire(blocking=wait):
            return
        try:
            if self._add(matrix, stopping) and self._kept < self.size:
                self._keep()
        finally:
            self._one_builder.release()

    def close(self) -> None:
        """No builder is at work, or will be, when this returns."""
        self._closed.set()
        with self._one_builder:
            pass

    @property
    def _part(self) -> Path:
        return self._file.with_suffix(".part")

    def _add(self, matrix: np.ndarray, stopping: threading.Event) -> bool:
        """Whether all rows are in now."""
        faiss.omp_set_num_threads(1)
        for start in range(self.size, len(matrix), _CHUNK):
            if stopping.is_set() or self._closed.is_set():
                return False
            if self._index is None:
                self._index = faiss.IndexHNSWFlat(self._field.dimension, self._field.m, faiss.METRIC_INNER_PRODUCT)
                self._index.hnsw.efConstruction = self._field.ef_construction
            rows = np.nan_to_num(matrix[start : start + _CHUNK])
            with self._turn:
                self._building = True
                self._turn.wait_for(lambda: self._searching == 0)
            try:
                self._index.add(rows)
            finally:
                self._building = False
        return not self._closed.is_set()

    def _keep(self) -> None:
        """The file is the whole old graph or the whole new one, whenever the process is killed."""
        faiss.write_index(self._index, str(self._part))
        self._part.replace(self._file)
        self._kept = self.size

    def search(
        self, query: np.ndarray, k: int, matrix: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k rows of largest inner product.

        Parameters
        ----------
        query : float32 array of shape (D,)
        k : int
            k >= 1.
        matrix : float32 array of shape (N, D)
        mask : bool array of shape (N,), or None
            Rows that may be answered; None for all.

        Returns
        -------
        rows, products : int64 and float32 arrays of shape (min(k, rows that may be answered),)
            Largest product first; equal products in row order.
        """
        count = len(matrix) if mask is None else int(np.count_nonzero(mask))
        if count == 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        faiss.omp_set_num_threads(1)
        k = min(k, count)
        reach = k if mask is None else int(1.2 * k * len(matrix) / count) + 50
        beam = int(max(4 * k + 400, reach * 3 // 2) * max(1.0, len(matrix) / _BEAM_REACHES))
        quick = count <= max(GRAPH_FROM, _ROWS_PER_BEAM * beam)
        found = None if quick else self._walk(query, k, reach, beam, matrix, mask)
        if found is None:
            found = _exact(query, k, matrix, None if mask is None else np.flatnonzero(mask))
        rows, products = found
        order = np.lexsort((rows, -products))[:k]
        return rows[order], products[order]

    def _walk(
        self, query: np.ndarray, k: int, reach: int, beam: int, matrix: np.ndarray, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """At least the best k by the graph and, past its end, exactly; None where it cannot promise them.

        The graph is asked for `reach` neighbours, without the filter: if k of them pass it, they are the best that
        pass. If fewer do, the filter lies elsewhere than the query, where no beam helps, and nothing is promised.
        """
        if not self._enter():
            return None
        try:
            size = self.size
            parameters = faiss.SearchParametersHNSW(efSearch=beam)
            products, rows = self._index.search(query[None, :], min(reach, size), params=parameters)
        finally:
            self._leave()
        found = (rows[0] >= 0) & (rows[0] < len(matrix))  # the graph may have grown past the caller's view
        rows, products = rows[0][found], products[0][found]
        if mask is not None:
            passing = mask[rows]
            rows, products = rows[passing], products[passing]
        if len(rows) < min(k, size):
            return None
        if size < len(matrix):
            late, more = _exact(query, k, matrix[size:], None if mask is None else np.flatnonzero(mask[size:]))
            rows, products = np.concatenate([rows, late + size]), np.concatenate([products, more])
        return rows, products

    def _enter(self) -> bool:
        with self._turn:
            if self._building or self.size < GRAPH_FROM:
                return False
            self._searching += 1
            return True

    def _leave(self) -> None:
        with self._turn:
            self._searching -= 1
            self._turn.notify_all()


def _exact(query: np.ndarray, k: int, matrix: np.ndarray, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Best k of the given rows (all when None), in no order, by faiss's own kernels: one thread, no copy of the vectors."""
    dense = rows is None or len(rows) > len(matrix) // 2
    count = len(matrix) if rows is None or dense else len(rows)
    products = np.empty(count, np.float32)
    if count:
        out, q, base = (faiss.swig_ptr(array) for array in (products, query, matrix))
        if dense:
            faiss.fvec_inner_products_ny(out, q, base, matrix.shape[1], len(matrix))
        else:
            faiss.fvec_inner_products_by_idx(out, q, base, faiss.swig_ptr(rows), matrix.shape[1], 1, count)
    if rows is None:
        rows = np.arange(count)
    elif dense:
        products = products[rows]
    if len(rows) > k:
        best = np.argpartition(products, len(rows) - k)[-k:]
        return rows[best], products[best]
    return rows, products
