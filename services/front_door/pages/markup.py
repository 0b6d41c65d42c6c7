"""The templates of these pages."""

from collections.abc import Iterable
from typing import Final

from services.platform.markup import NOTHING, Html, Templates, joined, safe

__all__ = ["NOTHING", "Html", "facts", "fill", "joined", "safe", "stylesheet"]

_TEMPLATES: Final = Templates(__package__, "booking.css")
fill, stylesheet = _TEMPLATES.fill, _TEMPLATES.stylesheet


def facts(rows: Iterable[tuple[str, object]]) -> Html:
    """A list of what is what; rows without a value are left out."""
    return joined(
        Html(f"<dt>{safe(name)}</dt><dd>{safe(value)}</dd>") for name, value in rows if value not in ("", None)
    )
