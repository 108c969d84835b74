"""functions/check_slot: InService is not enough, the configuration must be the one that was asked for."""

from __future__ import annotations

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.errors import NotReady, SlotChanged

ASKED = golden("check_slot/both_endpoints")


class Endpoints:
    """Both endpoints, as asked for, until a test changes one."""

    def __init__(self) -> None:
        self.described = {
            one["endpoint"]: {"EndpointStatus": "InService", "EndpointConfigName": one["config"]}
            for one in ASKED["endpoints"]
        }

    def describe_endpoint(self, EndpointName: str) -> dict[str, str]:
        return self.described[EndpointName]


@pytest.fixture
def endpoints():
    return Endpoints()


@pytest.fixture
def door(endpoints, monkeypatch):
    module = load_door("check_slot")
    monkeypatch.setattr(module, "world", lambda: endpoints)
    return module


def test_two_endpoints_in_service_as_asked_for(door):
    assert door.handler(ASKED, CONTEXT) == {"in_service": ["understudy-two-tower", "understudy-ranker"]}


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_an_endpoint_that_changes_is_waited_for(door, endpoints, status):
    endpoints.described["understudy-ranker"]["EndpointStatus"] = status
    with pytest.raises(NotReady, match=f"understudy-ranker is {status}"):
        door.handler(ASKED, CONTEXT)


@pytest.mark.parametrize(
    "change",
    [{"EndpointStatus": "Failed"}, {"EndpointConfigName": "the-old-one", "FailureReason": "ping failed"}],
    ids=["failed", "update ended with the old configuration"],
)
def test_an_endpoint_that_ended_elsewhere_is_an_error_with_its_reason(door, endpoints, change):
    endpoints.described["understudy-two-tower"] |= change
    with pytest.raises(SlotChanged, match=change.get("FailureReason", "no reason given")):
        door.handler(ASKED, CONTEXT)


def test_an_endpoint_with_fewer_instances_than_a_stage_needs_is_waited_for(door, endpoints):
    asked = {"endpoints": [{**ASKED["endpoints"][0], "counts": {"green": 4}}, ASKED["endpoints"][1]]}
    rows = endpoints.described["understudy-two-tower"]
    rows["ProductionVariants"] = [{"VariantName": "green", "CurrentInstanceCount": 3}]
    with pytest.raises(NotReady, match=r"has .* instances of"):
        door.handler(asked, CONTEXT)
    rows["ProductionVariants"] = [{"VariantName": "green", "CurrentInstanceCount": 4}]
    assert len(door.handler(asked, CONTEXT)["in_service"]) == 2
