"""`maskline campaign apply`: a checked file goes to the console, which writes it into the log."""

from typing import Any

from infra.console_client import ConsoleClient
from services.domain.campaign import Campaign, revision
from services.domain.campaign_document import document


def apply_campaign(
    console: ConsoleClient, campaign: Campaign, *, why: str = "", dry_run: bool = False
) -> dict[str, Any]:
    """What the console says it did, or would do. Raises ConsoleRefused, ConsoleUnreachable.

    The key is the content's revision: the same file applied again, after whatever failure, goes on where it stopped.
    """
    query = {"dry_run": "true"} if dry_run else {}
    if why:
        query["why"] = why
    told: dict[str, Any] = console.post(
        "/v1/campaigns/apply", document(campaign), key=f"apply-{revision(campaign)}", query=query
    )
    return told


def outlook_lines(told: dict[str, Any]) -> list[str]:
    """The console's answer for a person."""
    size = f"{told['pharmacies']} pharmacies, {told['slots']} slots, {told['units']} units"
    name = f"campaign {told['campaign']} ({told['region']})"
    changes = {
        "created": f"Applied {name}: {size}; it is {told.get('phase')}, in partition {told['partition']}.",
        "unchanged": f"Nothing changed: {name} is there already with the same content.",
        "new": f"Would create {name}: {size}, in {told.get('commands')} commands"
        + (", and open it at once." if told.get("would_open") else "."),
        "unfinished": f"Would finish {name}, which was begun and never sealed: {size}.",
        "refused": f"Would be refused: {name} is there already with another content, and a sealed one never changes:",
    }
    return [changes.get(told["change"], str(told)), *(f"  {difference}" for difference in told.get("differs", []))]
