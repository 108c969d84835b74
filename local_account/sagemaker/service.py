"""SageMaker's control plane and runtime, behind the front door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_account.account import Account
from local_account.records import Records
from local_account.sagemaker.endpoint_book import EndpointBook
from local_account.sagemaker.endpoint_configs import EndpointConfigs
from local_account.sagemaker.endpoint_keeper import EndpointKeeper
from local_account.sagemaker.endpoints import Endpoints
from local_account.sagemaker.errors import invalid
from local_account.sagemaker.faults import ROUTE, FaultDesk
from local_account.sagemaker.job_runner import JobRunner
from local_account.sagemaker.models import Models
from local_account.sagemaker.packages import Packages
from local_account.sagemaker.processing import ProcessingJobs
from local_account.sagemaker.room import Room, Tags
from local_account.sagemaker.runtime import Runtime
from local_account.sagemaker.shapes import check, sagemaker_model
from local_account.sagemaker.training import TrainingJobs
from local_account.sagemaker.transform import TransformJobs
from local_account.sagemaker.tuning import TuningJobs
from local_account.wire import AwsError, Request, Response, json_response, snake

JOBS_AT_ONCE = 2


class SageMakerService:
    """Every action is a method of one drawer: `CreateTrainingJob` is `TrainingJobs.create_training_job`.

    Parameters
    ----------
    account
        What the service is part of.
    jobs_at_once
        Jobs that run side by side; further ones wait as `Starting`, in the order they came.
    """

    def __init__(self, account: Account, jobs_at_once: int = JOBS_AT_ONCE) -> None:
        folder = account.state_dir / "sagemaker"
        self._records = Records(folder / "records.sqlite")
        room = Room(account, self._records, folder)
        self._runner = JobRunner(jobs_at_once)
        self._training = TrainingJobs(room, self._runner)
        self._processing = ProcessingJobs(room, self._runner)
        book, configs = EndpointBook(room), EndpointConfigs(room)
        self._keeper = EndpointKeeper(room, book)
        self._runtime = Runtime(account, self._keeper)
        self._faults = FaultDesk(self._keeper)
        endpoints = Endpoints(room, configs, book, self._keeper)
        registry = [Models(room), Packages(room), Tags(room)]
        self._transform = TransformJobs(room, self._runner)
        self._tuning = TuningJobs(room, self._training)
        jobs = [self._training, self._processing, self._transform, self._tuning]
        self._drawers: list[Any] = [*jobs, *registry, configs, endpoints]

    def start(self) -> None:
        self._keeper.start()
        self._training.resume()
        self._processing.resume()
        self._transform.resume()
        self._tuning.resume()

    def stop(self) -> None:
        self._tuning.stop()
        self._runner.stop()
        self._keeper.stop()
        self._records.close()

    def handle(self, request: Request) -> Response:
        if request.action == "InvokeEndpoint":
            return self._runtime.invoke(request)
        if request.path == ROUTE:
            return self._faults.handle(request)
        method = self._method(request.action)
        params = request.json()
        if not isinstance(params, dict):
            raise invalid("The request body is no JSON object")
        check(request.action, params)
        return json_response(method(params))

    def _method(self, action: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        name = snake(action)
        for drawer in self._drawers if action in sagemaker_model().operation_names else ():
            method = getattr(drawer, name, None)
            if method is not None:
                found: Callable[[dict[str, Any]], dict[str, Any]] = method
                return found
        raise AwsError("UnknownOperationException", f"sagemaker:{action} is not played by the local account", 501)
