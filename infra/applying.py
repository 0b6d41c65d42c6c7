"""`maskline campaign apply`: a checked file goes to the console, which writes it into the log."""

import secrets
from collections.abc import Callable
from typing import Any, Final

from infra.console_client import ConsoleClient, ConsoleRefused, ConsoleUnreachable
from services.domain.campaign import Campaign
from services.domain.campaign_document import document

PATH: Final = "/v1/campaigns/apply"
BEGIN_ANEW: Final = frozenset({"unknown_campaign", "definition_incomplete"})
"""Refusals of a try that another definition came in between: they are remembered, so only a new key gets on."""

OnStep = Callable[[int, int], None]
"""Told of commands done and commands in all."""


def outlook(console: ConsoleClient, campaign: Campaign) -> dict[str, Any]:
    """What applying would do. Raises ConsoleRefused, ConsoleUnreachable."""
    told: dict[str, Any] = console.post(PATH, document(campaign), query={"dry_run": "true"})
    return told


def apply_campaign(
    console: ConsoleClient, campaign: Campaign, *, why: str = "", on_step: OnStep = lambda *_: None
) -> dict[str, Any]:
    """What the console did. Raises ConsoleRefused, ConsoleUnreachable.

    The key is the content's revision as the console tells it, for only the console knows the pseudonyms of those who
    are entitled: the same file applied again, after whatever failure, goes on where it stopped.
    """
    before = outlook(console, campaign)
    if before["change"] == "unchanged":
        return before
    if before["change"] == "refused":
        raise ConsoleRefused(what="\n".join(outlook_lines(before)), reason="already_defined")
    key = f"apply-{before['revision']}"
    if before["change"] == "changes":
        # A change names the revision that it changes, so it is made once, whatever its key. With the same key, one that
        # was made and taken back since could not be made again.
        applied = _applied(console, campaign, f"{key}-{secrets.token_hex(8)}", why, on_step)
        return applied | {"differs": before["differs"]}
    try:
        return _applied(console, campaign, key, why, on_step)
    except ConsoleRefused as error:
        if error.reason not in BEGIN_ANEW:
            raise
    return _applied(console, campaign, f"{key}-{secrets.token_hex(8)}", why, on_step)


def _applied(console: ConsoleClient, campaign: Campaign, key: str, why: str, on_step: OnStep) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for line in console.follow(PATH, document(campaign), key=key, query={"why": why} if why else None):
        if "result" in line:
            result = line["result"]
        elif "of" in line:
            on_step(line["done"], line["of"])
    if not result:
        raise ConsoleUnreachable(url=console.url, why="it ended in the middle; apply the same file again")
    return result


def outlook_lines(told: dict[str, Any]) -> list[str]:
    """The console's answer for a person."""
    size = f"{told['pharmacies']} pharmacies, {told['slots']} slots, {told['units']} units"
    name = f"campaign {told['campaign']} ({told['region']})"
    changes = {
        "created": f"Applied {name}: {size}; it is {told.get('phase')}, in partition {told['partition']}.",
        "unchanged": f"Nothing changed: {name} is there already with the same content.",
        "new": f"Would create {name}: {size}, in {told.get('commands')} commands"
        + (", and open it at once." if told.get("would_open") else "."),
        "changed": f"Changed {name}; it is {told.get('phase')}, and whoever comes from now on is decided by:",
        "changes": f"Would change {name}, for whoever comes from then on:",
        "unfinished": f"Would finish {name}, which was begun and never sealed: {size}.",
        "refused": f"{name} is sealed, and this cannot be changed in it (nothing was):",
    }
    return [changes.get(told["change"], str(told)), *(f"  {difference}" for difference in told.get("differs", []))]
