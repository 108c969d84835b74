"""May this principal do this? Demands of a request against the policies of the role behind it.

Policies are those made through IAM's own API, read from moto's store and kept compiled until the next write to IAM.
"""

from __future__ import annotations

import json
from typing import Any

from local_account.account import ACCOUNT_ID
from local_account.front_door.actions import demands_of
from local_account.front_door.call import Call
from local_account.front_door.iam import Context, Demand, Statement, decide, statements_of
from local_account.front_door.moto_services import MotoServices, backend
from local_account.front_door.refusals import access_denied
from local_account.wire import AwsError, Principal

_ROOT = frozenset({f"arn:aws:iam::{ACCOUNT_ID}:root", ACCOUNT_ID, "*"})


class Rights:
    def __init__(self, moto: MotoServices) -> None:
        self._moto = moto
        self._statements: dict[str, list[Statement]] = {}
        moto.on_write("iam", self._forget)

    def require(self, call: Call, service: str, operation: str, principal: Principal) -> None:
        """Nothing, if the principal may make this call.

        Raises
        ------
        AwsError
            `AccessDeniedException` that names the first right which is missing.
        """
        if principal.role_arn is None:
            return
        for demand in demands_of(call, service, operation):
            self.require_demand(demand, principal)

    def require_demand(self, demand: Demand, principal: Principal) -> None:
        if principal.role_arn is None:
            return
        demand = Demand(demand.action, demand.resource, {**_global_context(principal), **demand.context})
        decision = decide(self._of_role(principal.role_arn), demand)
        if decision != "allow":
            raise access_denied(principal.arn, demand, decision)

    def require_trust(self, role_arn: str, who: Principal | str | None, external_id: str | None = None) -> None:
        """Nothing, if `who` may assume the role: a principal, a service's name, or None for the account itself.

        Raises
        ------
        AwsError
            `AccessDeniedException`, also for a role that does not exist, as STS answers.
        """
        role = _role(role_arn)
        arn = who.arn if isinstance(who, Principal) else who or "the account"
        text = f"User: {arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        refusal = AwsError("AccessDeniedException", text, 403)
        if role is None:
            raise refusal
        if who is None:
            return
        trust = role.assume_role_policy_document
        document = json.loads(trust) if isinstance(trust, str) else trust
        if isinstance(who, str):
            # A service's conditions (aws:SourceArn) tell which of its resources asks, and here nobody says that.
            if who not in _trusted(document, None)["Service"]:
                raise refusal
            return
        context = _global_context(who)
        trusted = _trusted(document, {**context, "sts:externalid": external_id} if external_id else context)["AWS"]
        # A policy that names the principal is enough; one that names the account leaves it to identity policies.
        if who.arn in trusted or who.role_arn in trusted:
            return
        if not trusted & _ROOT:
            raise refusal
        self.require_demand(Demand("sts:AssumeRole", role_arn), who)

    def _of_role(self, role_arn: str) -> list[Statement]:
        statements = self._statements.get(role_arn)
        if statements is not None:
            return statements
        with self._moto.locked(["iam"]):  # or a write between reading and keeping would be forgotten
            role = _role(role_arn)
            if role is None:
                text = "The security token included in the request is invalid."
                raise AwsError("UnrecognizedClientException", text, 403)
            documents = [*role.policies.values(), *map(_default_version, role.managed_policies.values())]
            statements = [statement for document in documents for statement in statements_of(json.loads(document))]
            self._statements[role_arn] = statements
        return statements

    def _forget(self) -> None:
        self._statements = {}


def _role(role_arn: str) -> Any | None:
    return next((role for role in list(backend("iam").roles.values()) if role.arn == role_arn), None)


def _default_version(policy: Any) -> str:
    document: str = next(v.document for v in policy.versions if v.version_id == policy.default_version_id)
    return document


def _trusted(document: dict[str, Any], context: Context | None) -> dict[str, set[str]]:
    """Who a trust policy lets in, by kind; without a context its conditions are not asked."""
    trusted: dict[str, set[str]] = {"Service": set(), "AWS": set()}
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        asked = {name: value for name, value in statement.items() if name != "Condition" or context is not None}
        demand = Demand("sts:AssumeRole", "*", context or {})
        if statement.get("Effect") != "Allow" or not Statement({"Resource": "*", **asked}).matches(demand):
            continue
        principal = statement.get("Principal", {})
        if principal == "*":
            trusted["AWS"].add("*")
            continue
        for kind, names in trusted.items():
            value = principal.get(kind, [])
            names.update([value] if isinstance(value, str) else value)
    return trusted


def _global_context(principal: Principal) -> Context:
    """Condition keys that every request has. The wire is plain here as it is loopback; on AWS it is always TLS."""
    return {
        "aws:principalarn": principal.role_arn or principal.arn,
        "aws:principalaccount": ACCOUNT_ID,
        "aws:sourceaccount": ACCOUNT_ID,
        "aws:requestedregion": "us-east-1",
        "aws:resourceaccount": ACCOUNT_ID,
        "aws:securetransport": "true",
    }
