"""Parallel and Map: branches in scopes of their own, run side by side; the first failure ends the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from local_account.step_functions.errors import QUERY_EVALUATION_ERROR, Interrupted, StatesError
from local_account.step_functions.frames import Cancellation, Frame
from local_account.step_functions.interpreter import Branch, Outcome

MAP_CONCURRENCY = 40  # AWS runs at most 40 iterations of an inline Map at once


def parallel(branch: Branch) -> Outcome:
    state = branch.state
    arguments = branch.arguments()
    resumed = branch.execution.journal.frame(branch.frame.child_path(0)) is not None
    if not resumed:
        branch.journal("ParallelStateStarted")
    together = Cancellation(branch.cancellation)
    children = [_child(branch, together, at, scope, arguments) for at, scope in enumerate(state["Branches"])]
    try:
        result = branch.execution.fan_out([c.run for c in children], len(children), lambda: together.cancel("sibling"))
    except StatesError:
        branch.journal("ParallelStateFailed")
        raise
    branch.journal("ParallelStateSucceeded")
    return branch.outcome(state, default=result, result=result)


def map_items(branch: Branch) -> Outcome:
    state = branch.state
    items = _items(branch)
    limit = int(branch.seconds("MaxConcurrency") or MAP_CONCURRENCY)
    resumed = any(branch.execution.journal.frame(branch.frame.child_path(at)) for at in range(len(items)))
    if not resumed:
        branch.journal("MapStateStarted", {"length": len(items)})
    together = Cancellation(branch.cancellation)
    runs = [_iteration(branch, together, at, item) for at, item in enumerate(items)]
    try:
        result = branch.execution.fan_out(runs, min(limit, MAP_CONCURRENCY), lambda: together.cancel("sibling"))
    except StatesError:
        branch.journal("MapStateFailed")
        raise
    branch.journal("MapStateSucceeded")
    return branch.outcome(state, default=result, result=result)


def _items(branch: Branch) -> list[dict[str, Any]]:
    """The items as `$states.context.Map.Item` shows them."""
    items = branch.render(branch.state["Items"], "Items") if "Items" in branch.state else branch.frame.input
    if isinstance(items, dict):
        return [{"Index": at, "Key": key, "Value": value} for at, (key, value) in enumerate(items.items())]
    if not isinstance(items, list):
        raise StatesError(QUERY_EVALUATION_ERROR, f"'Items' must be an array or an object, not {type(items).__name__}")
    return [{"Index": at, "Value": value} for at, value in enumerate(items)]


def _iteration(branch: Branch, together: Cancellation, at: int, item: dict[str, Any]) -> Callable[[], Any]:
    details = {"name": branch.frame.state, "index": at}
    selector = branch.state.get("ItemSelector")

    def run() -> Any:
        value = item["Value"]
        if selector is not None:
            value = branch.render(selector, "ItemSelector", context=branch.context() | {"Map": {"Item": item}})
        known = branch.execution.journal.frame(branch.frame.child_path(at)) is not None
        child = _child(branch, together, at, branch.state["ItemProcessor"], value, item)
        if not known:
            child.journal("MapIterationStarted", details)
        elif child.frame.done:
            return child.frame.output
        try:
            output = child.run()
        except StatesError:
            child.journal("MapIterationFailed", details)
            raise
        except Interrupted as interruption:
            if interruption.reason == "sibling":
                child.journal("MapIterationAborted", details)
            raise
        child.journal("MapIterationSucceeded", details)
        return output

    return run


def _child(
    branch: Branch, together: Cancellation, at: int, scope: Any, payload: Any, item: dict[str, Any] | None = None
) -> Branch:
    """A branch where it last stood, or at its start."""
    path = branch.frame.child_path(at)
    frame = branch.execution.journal.frame(path) or Frame(
        path, scope["StartAt"], payload, item=item or branch.frame.item
    )
    outer = {**branch.outer, **branch.frame.variables}
    return Branch(branch.execution, scope["States"], frame, outer, together)


def side_by_side(branches: list[Callable[[], Any]], limit: int, failed: Callable[[], None]) -> list[Any]:
    """Run branches on at most `limit` threads; the first failure is raised once all have ended."""
    results: list[Any] = [None] * len(branches)
    failures: list[BaseException] = []
    waiting = list(enumerate(branches))[::-1]
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting or failures:
                    return
                at, run = waiting.pop()
            try:
                results[at] = run()
            except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits
                with lock:
                    failures.append(failure)
                failed()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(limit, len(branches)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in sorted(failures, key=lambda f: not isinstance(f, StatesError)):
        raise failure
    return results


def one_after_another(branches: list[Callable[[], Any]], limit: int, failed: Callable[[], None]) -> list[Any]:
    """Run branches in order on this thread: what a test wants."""
    del limit, failed
    return [run() for run in branches]
