from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_account.sagemaker.service import SageMakerService
from support.model_jobs import make_bucket_and_role
from support.prepared import make_prepared
from support.sagemaker_room import OwnFolder
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


@pytest.fixture(scope="session")
def job_account(account: Any) -> Any:
    """The account with a bucket and a role for model_code's jobs."""
    make_bucket_and_role(account)
    return account


@pytest.fixture
def service(job_account: Any, tmp_path: Path) -> Iterator[SageMakerService]:
    service = SageMakerService(OwnFolder(job_account, tmp_path / "state"))
    service.start()
    yield service
    service.stop()
