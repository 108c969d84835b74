"""May this principal do this? Demands of a request against the policies of the role behind it."""

from __future__ import annotations

from local_account.front_door.call import Call
from local_account.wire import Principal


class Rights:
    def require(self, call: Call, service: str, operation: str, principal: Principal) -> None:
        """Raise AccessDenied unless the principal's policies allow the call."""

    def require_trust(self, role_arn: str, principal: Principal | str | None) -> None:
        """Raise AccessDenied unless the role trusts the principal."""
