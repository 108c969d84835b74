"""Values of a field over all rows, for filters and sorting: codes of keywords, numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from local_account.opensearch.errors import field_error
from local_account.opensearch.growing import Growing

_NOTHING = -1


class KeywordColumn:
    """Keyword or boolean: each distinct value has a code; a row's further values (arrays) stand beside it."""

    def __init__(self) -> None:
        self._codes = Growing(np.int32, _NOTHING)
        self._code_of: dict[str, int] = {}
        self._more: dict[int, list[int]] = {}  # code -> rows that hold it as a further value
        self._postings: tuple[int, np.ndarray, np.ndarray] | None = None

    def extend(self, values: list[Any]) -> None:
        code_of, start = self._code_of, len(self._codes)
        codes = []
        for row, value in enumerate(values):
            if isinstance(value, list):
                first, *more = value or [None]
                for further in more:
                    self._more.setdefault(self._code(further), []).append(start + row)
                value = first
            code = _NOTHING if value is None else code_of.get(value) if type(value) is str else None
            codes.append(self._code(value) if code is None else code)
        self._codes.extend(codes)

    def pad(self, count: int) -> None:
        self._codes.pad(count)

    def rows(self, wanted: Iterable[Any], count: int) -> np.ndarray:
        """Rows below `count` that hold one of the wanted values."""
        codes = [code for value in wanted if (code := self._code_of.get(_text(value))) is not None]
        order, starts = self._index(count)
        found = [order[starts[code] : starts[code + 1]] for code in codes if code + 1 < len(starts)]
        found += [np.asarray(self._more[code], np.int64) for code in codes if code in self._more]
        rows = np.concatenate(found) if found else np.empty(0, np.int64)
        return rows[rows < count]

    def exists(self, count: int) -> np.ndarray:
        return self._codes.view(count) != _NOTHING

    def sort_keys(self, rows: np.ndarray) -> list[Any]:
        names = list(self._code_of)
        codes = self._codes.view(len(self._codes))[rows]
        return [None if code == _NOTHING else names[code] for code in codes.tolist()]

    def _code(self, value: Any) -> int:
        return _NOTHING if value is None else self._code_of.setdefault(_text(value), len(self._code_of))

    def _index(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows in order of their code, and where each code's rows start; made anew when rows were added."""
        kept = self._postings
        if kept is None or kept[0] != count:
            codes = self._codes.view(count)
            order = np.argsort(codes, kind="stable")
            starts = np.searchsorted(codes[order], np.arange(len(self._code_of) + 1))
            self._postings = kept = (count, order, starts)
        return kept[1], kept[2]


class NumberColumn:
    """Numbers as float64; NaN where a row has none."""

    def __init__(self) -> None:
        self._numbers = Growing(np.float64, np.nan)

    def extend(self, values: list[Any]) -> None:
        self._numbers.extend(np.array([_number(value) for value in values], np.float64))

    def pad(self, count: int) -> None:
        self._numbers.pad(count)

    def rows(self, wanted: Iterable[Any], count: int) -> np.ndarray:
        return np.flatnonzero(np.isin(self._numbers.view(count), [float(value) for value in wanted]))

    def exists(self, count: int) -> np.ndarray:
        return ~np.isnan(self._numbers.view(count))

    def between(self, bounds: dict[str, Any], count: int) -> np.ndarray:
        numbers = self._numbers.view(count)
        mask = ~np.isnan(numbers)
        for name, compare in (("gt", np.greater), ("gte", np.greater_equal), ("lt", np.less), ("lte", np.less_equal)):
            if bounds.get(name) is not None:
                mask &= compare(numbers, float(bounds[name]))
        return mask

    def sort_keys(self, rows: np.ndarray) -> list[Any]:
        numbers = self._numbers.view(len(self._numbers))[rows]
        return [None if number != number else number for number in numbers.tolist()]


Column = KeywordColumn | NumberColumn


def check_number(field: str, kind: str, key: str, value: Any) -> dict[str, Any] | None:
    """The error of a document whose number cannot be read as one, or None."""
    for one in value if isinstance(value, list) else [value]:
        try:
            _number(one)
        except (TypeError, ValueError):
            return field_error(field, kind, key, one, ("number_format_exception", f'For input string: "{one}"'))
    return None


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    if value is None:
        return np.nan
    if isinstance(value, list):
        return _number(value[0]) if value else np.nan
    if isinstance(value, bool):
        raise TypeError("a boolean is no number")
    return float(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
