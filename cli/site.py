"""Where the commands work: an AWS session, a stack in it, and what the stack calls its parts.

On a laptop the account that `understudy up` started is found through its state folder; anywhere else boto3's own chain
(profile, environment, instance) decides. Past that there is no difference.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

DEFAULT_STACK = "understudy"
DEFAULT_STATE = Path(".understudy")
_CHOSEN = ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


class Problem(Exception):
    """What went wrong, what was expected, what to do; printed by main, exit code 1."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class Site:
    """A deployed stack."""

    session: boto3.Session
    stack: str

    def client(self, service: str) -> Any:
        """One client a service: making one costs more than most calls."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 4})
            self._clients[service] = self.session.client(service, config=config)
        return self._clients[service]

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs; the template says what each is."""
        try:
            described = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        except ClientError as error:
            raise Problem(
                f"stack {self.stack} is not there ({error.response['Error']['Message']}); deploy it, or on a laptop: understudy up"
            ) from error
        except BotoCoreError as error:
            raise Problem(f"AWS does not answer: {error}. On a laptop: understudy up") from error
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The stack's parameters, with the template's defaults where nothing was given."""
        described = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        return {each["ParameterKey"]: each["ParameterValue"] for each in described.get("Parameters", [])}

    def signed(self, service: str, method: str, url: str, body: Any = None) -> tuple[int, Any]:
        """(status, JSON answer) of one signed call that boto3 has no client for: our API, and OpenSearch."""
        data = b"" if body is None else json.dumps(body).encode()
        request = AWSRequest(method, url, data=data, headers={"content-type": "application/json"})
        credentials = self.session.get_credentials()
        if credentials is None:
            raise Problem(
                "no AWS credentials were found; expected a profile or AWS_* variables, or on a laptop: understudy up"
            )
        SigV4Auth(credentials, service, self.session.region_name or "us-east-1").add_auth(request)
        answer = URLLib3Session(timeout=30).send(request.prepare())
        try:
            return answer.status_code, json.loads(answer.content or b"null")
        except ValueError:
            return answer.status_code, {"error": {"what": answer.content[:200].decode(errors="replace")}}


def use_local_account(state: Path) -> None:
    """Point this process at the account of a state folder, unless the caller chose another already."""
    if (state / "endpoint").exists() and not any(name in os.environ for name in _CHOSEN):
        os.environ["AWS_CONFIG_FILE"] = str((state / "config").resolve())
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str((state / "credentials").resolve())
        os.environ["AWS_PROFILE"] = "understudy"


def connect(stack: str, state: Path = DEFAULT_STATE) -> Site:
    use_local_account(state)
    return Site(boto3.Session(), stack)
