from __future__ import annotations

from pathlib import Path

import pytest

from support.prepared import make_prepared
from support.training_job import Finished, Train, train_apart, train_here


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_prepared(tmp_path_factory.mktemp("prepared"), users=120, items=90, days=6)


@pytest.fixture(scope="session")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    def run(prepared: Path, *options: str, **environ: str) -> Finished:
        return train_here(prepared, tmp_path_factory.mktemp("opt-ml"), *options, **environ)

    return run


@pytest.fixture(scope="session")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The job with its defaults in a process of its own, once for all tests."""
    done = train_apart(prepared, tmp_path_factory.mktemp("opt-ml"))
    assert done.code == 0, done.errors
    return done
