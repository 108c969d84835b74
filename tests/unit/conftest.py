"""What every unit test has."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_managed_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local account has moto read AWS's own policies; no unit test asks for one, and moto would read them anew for each."""
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "false")
