"""Every error of ours, in one tree. The class name is what a state machine catches; facts go in, it writes a sentence.

UnderstudyError
├── SettingsError           a function's environment is incomplete or unreadable
├── InvalidInput            a caller sent what no door accepts (answered 4xx)
├── StepFailed              a dependency of an answer was late, down or wrong; the answer degrades one step
├── WriteRefused            a conditional write lost
│   ├── LeaseHeld           somebody else holds the lease
│   ├── LeaseLost           the lease we held belongs to somebody else now
│   ├── TrafficMoved        another writer moved traffic first
│   ├── FencedOff           traffic was written under a higher fence than the one brought: a rollback came first
│   ├── StageLost           this rollout's place on stage belongs to another change by now
│   ├── ReleaseExists       the release id is taken by other contents
│   ├── ReleaseMoved        another writer moved the release's status first
│   └── EpisodeMoved        another writer opened or changed the episode of drift first
├── StatusNotAllowed        no release goes from this status to that one
├── SlotChanged             an endpoint came to rest elsewhere than it was asked to
├── BadEvidence             the judge was given counts or a policy that cannot be
└── NotReady                a dependency has not come up yet; try again
"""

from __future__ import annotations


class UnderstudyError(Exception):
    """Base of the tree."""


class SettingsError(UnderstudyError):
    def __init__(self, function: str, problems: list[str]) -> None:
        super().__init__(f"{function}: {'; '.join(problems)}. Each is one line under Environment in template.yaml.")
        self.problems = problems


class InvalidInput(UnderstudyError):
    """`code` is for programs, `what` and `expected` for people; `status` is always a 4xx."""

    def __init__(self, what: str, expected: str, *, code: str = "invalid_input", status: int = 400) -> None:
        super().__init__(f"{what}; expected {expected}")
        self.what, self.expected, self.code, self.status = what, expected, code, status


class StepFailed(UnderstudyError):
    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"{step}: {why}")
        self.step, self.why = step, why


class WriteRefused(UnderstudyError):
    """A condition did not hold: somebody else wrote first, or the writer's fence is stale."""


class LeaseHeld(WriteRefused):
    def __init__(self, name: str, owner: str, until: str) -> None:
        super().__init__(f"lease {name} is held by {owner} until {until}")
        self.name, self.owner, self.until = name, owner, until


class LeaseLost(WriteRefused):
    def __init__(self, name: str, owner: str, fence: int) -> None:
        super().__init__(f"lease {name} is no longer held by {owner} under fence {fence}")
        self.name, self.owner, self.fence = name, owner, fence


class TrafficMoved(WriteRefused):
    def __init__(self, expected_version: int, change_id: str) -> None:
        super().__init__(
            f"traffic is no longer at version {expected_version}: change {change_id} came first or fenced this one off"
        )
        self.expected_version, self.change_id = expected_version, change_id


class FencedOff(WriteRefused):
    def __init__(self, fence: int, traffic_fence: int, change_id: str) -> None:
        super().__init__(
            f"fence {fence} is stale: change {change_id} was written to traffic under fence {traffic_fence}"
        )
        self.fence, self.traffic_fence, self.change_id = fence, traffic_fence, change_id


class StageLost(WriteRefused):
    def __init__(self, release_id: str, why: str) -> None:
        super().__init__(f"{release_id} has lost its place on stage: {why}")
        self.release_id, self.why = release_id, why


class ReleaseExists(WriteRefused):
    def __init__(self, release_id: str, differing: list[str]) -> None:
        super().__init__(f"release {release_id} is registered with another {', '.join(differing)}")
        self.release_id, self.differing = release_id, differing


class ReleaseMoved(WriteRefused):
    def __init__(self, release_id: str, expected_version: int, status: str) -> None:
        super().__init__(
            f"release {release_id} left version {expected_version} or was written under a higher fence; it is {status}"
        )
        self.release_id, self.expected_version, self.status = release_id, expected_version, status


class EpisodeMoved(WriteRefused):
    def __init__(self, episode_id: str, there: str) -> None:
        super().__init__(f"episode {episode_id} is not written: {there} stands there")
        self.episode_id, self.there = episode_id, there


class StatusNotAllowed(UnderstudyError):
    def __init__(self, release_id: str, status: str, wanted: str, allowed: tuple[str, ...]) -> None:
        super().__init__(
            f"release {release_id} is {status} and may become {' or '.join(allowed) or 'nothing else'}, not {wanted}"
        )
        self.release_id, self.status, self.wanted = release_id, status, wanted


class SlotChanged(UnderstudyError):
    def __init__(self, endpoint: str, found: str, asked: str) -> None:
        super().__init__(f"endpoint {endpoint} {found}; it was asked to come to {asked}")
        self.endpoint, self.found, self.asked = endpoint, found, asked


class BadEvidence(UnderstudyError):
    def __init__(self, what: str, expected: str) -> None:
        super().__init__(f"{what}; expected {expected}")
        self.what, self.expected = what, expected


class NotReady(UnderstudyError):
    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not ready yet")
