"""STS, as far as the account needs it: AssumeRole under the role's trust policy, and GetCallerIdentity.

moto's STS gives any caller any role, so its keys would be worth nothing here.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from local_account.account import ACCOUNT_ID
from local_account.front_door.call import Call
from local_account.front_door.identities import Identities
from local_account.front_door.rights import Rights
from local_account.wire import AwsError, Principal, Response

_XMLNS = "https://sts.amazonaws.com/doc/2011-06-15/"


class SecurityTokens:
    def __init__(self, identities: Identities, rights: Rights) -> None:
        self._identities = identities
        self._rights = rights

    def handle(self, call: Call, operation: str, principal: Principal) -> Response:
        if operation == "GetCallerIdentity":
            return _xml(operation, self._caller(principal))
        if operation == "AssumeRole":
            return _xml(operation, self._assume(call.form, principal))
        raise AwsError("InvalidAction", f"sts:{operation} is not played by the local account", 501)

    def _caller(self, principal: Principal) -> str:
        user_id = "AIDALOCALOPERATOR" if principal.role_arn is None else f"AROALOCAL:{principal.arn.rsplit('/', 1)[-1]}"
        return f"<Arn>{escape(principal.arn)}</Arn><UserId>{escape(user_id)}</UserId><Account>{ACCOUNT_ID}</Account>"

    def _assume(self, form: dict[str, str], principal: Principal) -> str:
        role_arn, session_name = form.get("RoleArn", ""), form.get("RoleSessionName", "")
        if not role_arn or not session_name:
            raise AwsError("ValidationError", "RoleArn and RoleSessionName must be given")
        lifetime_s = int(form.get("DurationSeconds", "3600"))
        if not 900 <= lifetime_s <= 43200:
            raise AwsError("ValidationError", f"DurationSeconds must be between 900 and 43200, not {lifetime_s}")
        self._rights.require_trust(role_arn, principal, form.get("ExternalId"))
        keys = self._identities.mint(role_arn, session_name, lifetime_s)
        ends = datetime.fromtimestamp(datetime.now(UTC).timestamp() + lifetime_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        arn = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role_arn.rsplit('/', 1)[-1]}/{session_name}"
        return (
            f"<Credentials><AccessKeyId>{keys.access_key_id}</AccessKeyId>"
            f"<SecretAccessKey>{escape(keys.secret_access_key)}</SecretAccessKey>"
            f"<SessionToken>{keys.session_token}</SessionToken><Expiration>{ends}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{escape(arn)}</Arn><AssumedRoleId>AROALOCAL:{escape(session_name)}</AssumedRoleId>"
            "</AssumedRoleUser>"
        )


def _xml(operation: str, result: str) -> Response:
    body = (
        f'<{operation}Response xmlns="{_XMLNS}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return Response(200, {"content-type": "text/xml"}, body.encode())
