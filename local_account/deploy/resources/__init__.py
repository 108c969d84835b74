"""How each resource type of the template is made, changed and removed, by its own service's API."""

from local_account.deploy.resources import compute, identity, routing, storage, watching
from local_account.deploy.resources.kind import Deployed, Kind, Made

KINDS: dict[str, Kind] = {**identity.KINDS, **storage.KINDS, **routing.KINDS, **compute.KINDS, **watching.KINDS}

__all__ = ["KINDS", "Deployed", "Kind", "Made"]
