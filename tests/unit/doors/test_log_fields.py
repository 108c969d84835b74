"""Fields of log lines: logging raises KeyError for those that a LogRecord has itself, and only once the line is written."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = [*ROOT.glob("functions/*/app.py"), *ROOT.glob("layers/understudy/python/understudy/**/*.py")]
RESERVED = {*vars(logging.makeLogRecord({})), "message", "asctime"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
OF_LOGGING = {"exc_info", "stack_info", "stacklevel", "extra"}


def fields_logged(source: str) -> Iterator[str]:
    """Names of the fields that calls of `logger` give."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "logger":
                yield from (keyword.arg for keyword in node.keywords if keyword.arg is not None)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_log_line_takes_the_name_of_a_field_that_every_record_has(source):
    assert set(fields_logged(source.read_text())) & (RESERVED - OF_LOGGING) == set()


def test_a_reserved_name_is_found():
    assert list(fields_logged('logger.info("ended", name=1)')) == ["name"]
    assert "name" in RESERVED
