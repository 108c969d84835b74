"""Our own services by signing name: found in their rooms, built when first needed, started and stopped in order."""

from __future__ import annotations

import importlib
import logging
import threading
from types import ModuleType
from typing import Any

from local_account.account import Account
from local_account.wire import AwsError, Service

_log = logging.getLogger(__name__)

# Signing name -> room. Rooms start in this order and stop in the opposite one: who is called before who calls.
ROOMS = {
    "es": "opensearch",
    "firehose": "firehose",
    "lambda": "functions",
    "sagemaker": "sagemaker",
    "events": "event_bridge",
    "scheduler": "event_bridge",
    "states": "step_functions",
    "monitoring": "cloudwatch",
    "execute-api": "http_api",
    "apigateway": "http_api",
    "cloudformation": "deploy",
}


class Services:
    """One object per room; two signing names of one room share it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._by_room: dict[str, Service] = {}
        self._started: list[Service] = []
        self._lock = threading.RLock()

    def get(self, name: str) -> Any:
        """The service with this signing name.

        Raises
        ------
        AwsError
            501 when it is none of ours, or its room is not built yet.
        """
        room = ROOMS.get(name)
        if room is None:
            raise AwsError("UnknownServiceException", f"{name} is none of the local account's own services", 501)
        service = self._by_room.get(room)
        if service is None:
            with self._lock:
                service = self._by_room.get(room) or self._build(name, room)
        return service

    def start(self) -> None:
        for name, room in ROOMS.items():
            try:
                service = self.get(name)
            except AwsError as error:
                _log.warning("%s", error.message)
                continue
            if service not in self._started:
                _log.info("starting %s", room)
                service.start()
                self._started.append(service)

    def stop(self) -> None:
        while self._started:
            service = self._started.pop()
            try:
                service.stop()
            except Exception:  # noqa: BLE001 - the others must be stopped all the same
                _log.exception("%s did not stop cleanly", type(service).__module__)

    def _build(self, name: str, room: str) -> Service:
        module_name = f"local_account.{room}.service"
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name != module_name:
                raise
            raise AwsError(
                "UnknownServiceException", f"{name} has no service in local_account/{room} yet", 501
            ) from error
        service: Service = _service_class(module)(self._account)
        self._by_room[room] = service
        return service


def _service_class(module: ModuleType) -> Any:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "handle")
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must hold one class with a `handle`, it has {[c.__name__ for c in found]}")
    return found[0]
