"""The way in: who asks, for what, may they, and who answers.

The order is AWS's: signature, then rights, then the service. `answer` runs on a worker thread and may block.
"""

from __future__ import annotations

import logging
import uuid

from local_account.front_door import chunked, compressed, signature
from local_account.front_door.answers import error_response
from local_account.front_door.call import Call
from local_account.front_door.iam import Demand
from local_account.front_door.identities import Identities
from local_account.front_door.long_poll import LongPoll
from local_account.front_door.moto_services import MotoServices
from local_account.front_door.operations import operation_of
from local_account.front_door.rights import Rights
from local_account.front_door.s3_operations import bucket_and_key
from local_account.front_door.security_tokens import SecurityTokens
from local_account.front_door.services import ROOMS, Services
from local_account.wire import AwsError, Principal, Request, Response

_log = logging.getLogger(__name__)

# Paths that name a service by themselves, for the protocol of a refusal: what opens them is the signature's own scope.
_PREFIXES = {"/opensearch/": "es", "/execute-api/": "execute-api"}


class Door:
    """Answers calls for one account."""

    def __init__(self, identities: Identities, moto: MotoServices, services: Services, rights: Rights) -> None:
        self._identities = identities
        self._moto = moto
        self._services = services
        self._rights = rights
        self._tokens = SecurityTokens(identities, rights)
        self._long_poll = LongPoll(moto)

    def answer(self, call: Call) -> Response:
        """An answer always, in the protocol of the call; what nobody foresaw is logged and answered as a 500."""
        if call.raw_path == "/health":
            return Response(200, {"content-type": "application/json"}, b'{"status":"ok"}')
        service = _guess_service(call)
        try:
            signed = signature.verify(call, self._identities.secret_of)
            service = signed.service
            principal = self._identities.principal_of(signed.session_token)
            if service == "s3" and chunked.is_chunked(call):
                chunked.unwrap(call, signed)
            compressed.unpack(call, service)
            operation = operation_of(call, service)
            self._rights.require(call, service, operation, principal)
            response = self._route(call, service, operation, principal)
            response.headers.setdefault("x-amzn-requestid", str(uuid.uuid4()))
            return response
        except AwsError as error:
            return error_response(call, service, error)
        except Exception:  # noqa: BLE001 - a caller gets an answer, whatever went wrong
            _log.exception("%s %s for %s", call.method, call.raw_path, service)
            text = "The local account failed to answer; its log has the reason."
            return error_response(call, service, AwsError("InternalFailure", text, 500))

    def _route(self, call: Call, service: str, operation: str, principal: Principal) -> Response:
        if service in ROOMS:
            return self._services.get(service).handle(
                Request(
                    method=call.method,
                    path=call.path,
                    raw_path=call.raw_path,
                    query=call.query,
                    headers=call.headers,
                    body=call.body,
                    service=service,
                    action=operation,
                    principal=principal,
                )
            )
        if service == "sts":
            return self._tokens.handle(call, operation, principal)
        if service == "sqs" and operation == "ReceiveMessage":
            return self._long_poll.receive(call)
        response = self._moto.handle(call, service, operation)
        if response.status == 404 and operation in ("GetObject", "HeadObject"):
            # S3 tells only those who may list a bucket that it lacks an object.
            bucket = bucket_and_key(call)[0]
            self._rights.require_demand(Demand("s3:ListBucket", f"arn:aws:s3:::{bucket}"), principal)
        return response


def _guess_service(call: Call) -> str:
    """For the protocol of a refusal whose caller could not be told: the scope as claimed, S3 for a bare URL."""
    for prefix, service in _PREFIXES.items():
        if call.raw_path.startswith(prefix):
            return service
    credential = call.headers.get("authorization", "").partition("Credential=")[2].split(",")[0]
    scope = (credential or call.query.get("X-Amz-Credential", "")).split("/")
    if len(scope) >= 5:
        return scope[-2]
    return "" if call.protocol != "rest" else "s3"
