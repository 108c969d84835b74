"""Every `understudy …` in the README, the runbook and the commands' own sentences is a command, with options that it has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.main import app
from cli.release_commands import Releases

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "cli").glob("*.py"))]
CALL = re.compile(r"(?:^|[`\s(/])understudy((?: [a-z][a-z-]*)+)([^`\n;]*)", re.MULTILINE)


def calls(page: Path) -> Iterator[tuple[list[str], set[str]]]:
    """Words and options of every call; prose after two blanks, a dot or a comma is no part of it."""
    text = page.read_text()
    spans = (
        [text] if page.suffix == ".py" else [*re.findall(r"`[^`\n]+`", text), *re.findall(r"```\n(.*?)```", text, re.S)]
    )
    for span in spans:
        for words, rest in CALL.findall(span):
            said = re.split(r"  |\. |, |[\"')]", rest)[0]
            yield words.split(), set(re.findall(r"(?<![\w-])--[a-z-]+", said))


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists_with_its_options(page):
    for words, named in calls(page):
        command: Any = get_command(app)
        for place, word in enumerate(words):
            if isinstance(command, Releases) and word not in command.commands:
                command = command.commands["show"]
            if not hasattr(command, "commands"):
                break  # an argument, or prose
            assert word in command.commands, f"understudy {' '.join(words[: place + 1])}"
            command = command.commands[word]
        command = command.commands["show"] if isinstance(command, Releases) else command
        assert named <= options(command), f"understudy {' '.join(words)}: {named}"


def test_the_check_finds_calls_at_all():
    found = {words[0] for page in PAGES for words, _ in calls(page)}
    assert {"rollout", "releases", "night", "rollback"} <= found
