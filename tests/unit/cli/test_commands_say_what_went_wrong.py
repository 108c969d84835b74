"""The installed command: whatever it could not do is one sentence on stderr and an exit code."""

from __future__ import annotations

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer
from botocore.exceptions import NoRegionError

from cli import main as main_module
from cli.site import Problem

ROOT = Path(__file__).parents[3]


@pytest.fixture
def understudy(monkeypatch, capsys):
    """(exit code, stderr) of the command with the given words, as pyproject.toml installs it."""
    module, _, name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][
        "understudy"
    ].partition(":")
    entry = getattr(import_module(module), name)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["understudy", *words])
        with pytest.raises(SystemExit) as ended:
            entry()
        return ended.value.code, " ".join(capsys.readouterr().err.split())

    return run


@pytest.fixture
def failing(monkeypatch):
    """A command `fail` that fails in the way that a test says."""
    app, ways = typer.Typer(), []

    @app.command()
    def fail() -> None:
        raise ways[0]

    @app.command()
    def work() -> None: ...

    monkeypatch.setattr(main_module, "app", app)
    return ways


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        (
            Problem("r-1 [is] pending; understudy releases approve r-1"),
            1,
            "understudy: r-1 [is] pending; understudy releases",
        ),
        (NoRegionError(), 1, "AWS refused: You must specify a region"),
        (typer.Exit(1), 1, ""),
        (typer.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["a problem", "AWS", "a finding of the doctor", "abort", "Ctrl-C"],
)
def test_what_a_command_could_not_do_is_a_sentence_and_an_exit_code(understudy, failing, way, code, said):
    failing.append(way)
    ended, stderr = understudy("fail")
    assert ended == code
    assert said in stderr


def test_what_worked_ends_with_zero(understudy, failing):
    assert understudy("work") == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rollout", "abort"), "Missing option '--reason'"),
        (("rollback", "--reason", " "), "it is blank; expected a few words"),
        (("rollout", "start"), "Missing argument 'RELEASE'"),
        (("releases", "approve"), "Missing argument 'RELEASE'"),
        (("rollout", "walk"), "No such command 'walk'"),
    ],
)
def test_a_command_that_was_asked_wrongly_says_how_to_ask(understudy, words, said):
    code, stderr = understudy(*words)
    assert code == 2
    assert said in stderr


def test_watching_and_json_are_one_or_the_other(understudy):
    assert understudy("rollout", "status", "--watch", "--json") == (
        1,
        "understudy: --watch is for people and --json for programs; expected one of the two",
    )
