"""poison: make a release bad to order, to see that it is caught; cure it again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.model_faults import MODEL_KINDS, PARTS, SLOW_MS, ModelFault, cure_faults, order_fault
from cli.options import STACK, STATE, Stack, State, console
from cli.site import Problem, Site, connect
from cli.stage import read_release, read_traffic

INDEX_KINDS = ("shuffled_index", "stale_index", "popularity_only")  # cli/index_poisons.py, which loads numpy


def register(app: typer.Typer) -> None:
    app.command()(poison)


def poison(
    release_id: Annotated[str, typer.Argument(help="Which release; understudy releases lists them.")],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="shuffled_index, stale_index, popularity_only: what its index holds is exchanged, on any OpenSearch. "
            "slow, errors, nan_scores, kill: its model misbehaves, on the local account only.",
        ),
    ] = None,
    cure: Annotated[bool, typer.Option("--cure", help="Put the index right again and end every fault.")] = False,
    share: Annotated[
        float | None,
        typer.Option(
            "--share", min=0.0, max=1.0, help="Of the items (shuffled_index) or of the calls; default all, errors 0.05."
        ),
    ] = None,
    delay_ms: Annotated[float, typer.Option("--delay-ms", min=1, max=60_000, help="Of slow.")] = SLOW_MS,
    part: Annotated[str, typer.Option("--part", help="Whose calls: ranker or two-tower.")] = "ranker",
    of: Annotated[str | None, typer.Option("--of", help="stale_index: whose content; default the champion's.")] = None,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Make a release bad to order: good in every check before the stage, bad on it."""
    site = connect(stack, state)
    read_release(site, release_id)
    if cure:
        cure_faults(site, release_id)
        console.print(f"{release_id} is cured: {change_index(site, release_id, None)} documents as they were built")
    elif kind in INDEX_KINDS:
        held = change_index(site, release_id, kind, share=share, of=of)
        console.print(f"{release_id} is poisoned: {kind}, {held} documents; understudy poison {release_id} --cure")
    elif kind in MODEL_KINDS and part in PARTS:
        order_fault(site, release_id, ModelFault(kind, part, share, delay_ms))
        console.print(f"{part} of {release_id}: {kind}; understudy poison {release_id} --cure")
    else:
        raise Problem(
            f"--kind is {kind}, --part {part}; expected one of {', '.join(INDEX_KINDS + MODEL_KINDS)}, and {' or '.join(PARTS)}"
        )


def change_index(
    site: Site, release_id: str, kind: str | None, *, share: float | None = None, of: str | None = None
) -> int:
    """Poison a release's index, or make it whole (None); how many documents it holds then."""
    from cli.index_poisons import Poison, poison_index
    from understudy.contracts.release import ReleaseRecord

    record, order = ReleaseRecord.model_validate(read_release(site, release_id)), None
    if kind == "stale_index":
        order = Poison(
            kind, other=ReleaseRecord.model_validate(read_release(site, of or _other_than(site, release_id)))
        )
    elif kind is not None:
        order = Poison(kind, share=1.0 if share is None else share)
    with tempfile.TemporaryDirectory(prefix="understudy-poison-") as scratch:
        return poison_index(site.session, site.outputs["ItemIndexUrl"], record, order, Path(scratch))


def _other_than(site: Site, release_id: str) -> str:
    now = read_traffic(site)
    if now is None or now["champion"]["release"] == release_id:
        raise Problem(f"there is no other champion than {release_id}; name a release: --of")
    return str(now["champion"]["release"])
