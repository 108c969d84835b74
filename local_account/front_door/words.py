"""Tables of names, written as prose."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())
