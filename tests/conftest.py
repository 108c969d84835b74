"""What tests of every room may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest
from botocore.loaders import JSONFileLoader

if TYPE_CHECKING:
    from local_account.front_door.local import LocalAccount


# Some tests ask for its fixtures as a plugin and others import its names first: both need it as pytest rewrites it.
pytest.register_assert_rewrite("support.lake_account")


@pytest.fixture(scope="session", autouse=True)
def read_once() -> Iterator[None]:
    """botocore reads its models anew for each session, and moto makes a session for each test: a third of the doors' tests."""
    with pytest.MonkeyPatch.context() as patch:
        load = JSONFileLoader.load_file
        read = cache(lambda path: load(JSONFileLoader(), path))
        patch.setattr(JSONFileLoader, "load_file", lambda _self, path: read(path))
        yield


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAccount]:
    """The local account in this process, listening: `account.client("s3")` is the operator's boto3 client.

    There is one for all tests of a run, since moto's world belongs to the process: name what you make after your test.
    """
    from local_account.front_door.local import LocalAccount

    account = LocalAccount(tmp_path_factory.mktemp("account"))
    account.start()
    yield account
    account.stop()
