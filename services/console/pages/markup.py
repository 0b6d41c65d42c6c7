"""The templates of these pages."""

from __future__ import annotations

from typing import Final

from services.platform.markup import NOTHING, Html, Templates, joined

__all__ = ["NOTHING", "Html", "fill", "joined", "stylesheet"]

_TEMPLATES: Final = Templates(__package__, "console.css")
fill, stylesheet = _TEMPLATES.fill, _TEMPLATES.stylesheet
