"""reactions: what alarms led to and why, the episode of drift as it stands, and what was given up, tried again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.options import STACK, STATE, Stack, State, console
from cli.site import Site, connect
from understudy.adapters.reactions import DynamoEpisodes, DynamoReactions
from understudy.contracts.reactions import Episode, Reaction
from understudy.domain.undelivered import alarm_event

COLOURS = {"roll_back": "red", "retrain": "magenta", "page": "yellow", "wait": "cyan", "ignore": "dim"}
HIDDEN_S = 60  # for so long nobody else sees a message that was looked at


def register(app: typer.Typer) -> None:
    app.command()(reactions)


def reactions(
    days: Annotated[int, typer.Option(min=1, max=90, help="How far back.")] = 7,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object: reactions, newest first, and the episode.")
    ] = False,
    redrive: Annotated[
        bool, typer.Option("--redrive", help="Hand alarm events that were given up to the door again, first.")
    ] = False,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """What alarms led to: every decision with its reason, newest first."""
    site = connect(stack, state)
    again = redrive_alarms(site) if redrive else None
    found, episode = read_reactions(site, days), read_episode(site)
    if as_json:
        said = {"reactions": [row(each) for each in found], "episode": episode and episode.model_dump(mode="json")}
        console.print_json(json.dumps(said if again is None else {**said, "redriven": again}))
        return
    if again is not None:
        console.print(f"{again} alarm events were handed to the door again")
    if episode is not None:
        console.print(episode_line(episode))
    console.print(reactions_table(found) if found else f"no alarm of the last {days} days led to anything")


def read_reactions(site: Site, days: int) -> list[Reaction]:
    """Decisions about the last days, newest first."""
    table = DynamoReactions(site.client("dynamodb"), site.outputs["ReactionsTable"])
    return list(table.of_days(datetime.now(UTC).date(), days))


def read_episode(site: Site) -> Episode | None:
    return DynamoEpisodes(site.client("dynamodb"), site.outputs["StateTable"]).current()


def row(reaction: Reaction) -> dict[str, Any]:
    """A decision as JSON, flat."""
    facts = reaction.model_dump(mode="json", exclude={"occasion", "input"})
    return {**reaction.occasion.model_dump(mode="json"), **facts}


def episode_line(episode: Episode) -> str:
    if episode.closed_at is not None:
        how = f"closed {_time(episode.closed_at)}"
    else:
        how = f"open, cooling down until {_time(episode.cool_down_until)}"
    started = "" if episode.started_at else ", not started yet"
    return f"episode [bold]{episode.episode_id}[/] ({', '.join(episode.alarms)}): {how}; retrain {episode.run}{started}"


def reactions_table(found: list[Reaction]) -> Table:
    table = Table(title="Reactions")
    for title in ("since", "alarm", "state", "action"):
        table.add_column(title, no_wrap=True)
    table.add_column("reason")
    for each in found:
        colour, told = COLOURS[each.action], "" if each.settled or each.action == "wait" else " (not done yet)"
        table.add_row(
            _time(each.occasion.at),
            each.occasion.alarm,
            each.occasion.state,
            f"[{colour}]{each.action}[/]{told}",
            each.reason,
        )
    return table


def redrive_alarms(site: Site) -> int:
    """Hand every undelivered alarm event to react_to_alarm again; how many. What else lies in the queue stays there.

    An occasion is decided about once, so an event that was answered after all changes nothing.
    """
    sqs, queue = site.client("sqs"), site.outputs["UndeliveredEventsUrl"]
    function, count, others = site.outputs["ReactToAlarmFunction"], 0, []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_S).get(
        "Messages"
    ):
        for message in messages:
            event = alarm_event(message["Body"])
            if event is None:
                others.append(message["ReceiptHandle"])
                continue
            site.client("lambda").invoke(
                FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode()
            )
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            count += 1
    for receipt in others:
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0)
    return count


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"
