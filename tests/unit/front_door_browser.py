"""Somebody with a browser: reads pages, fills in forms, follows what they say."""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

from tests.unit.front_door_world import CAMPAIGN, Heard, World

FORM = f"/campaigns/{CAMPAIGN}/slots/s-1"


class Page(HTMLParser):
    """What a page has: its tags with their attributes, and whether every tag is closed."""

    EMPTY = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def value(self, name: str) -> str:
        return next(str(field["value"]) for field in self.all("input") if field.get("name") == name)


async def page(world: World, path: str, status: int = 200, **options: Any) -> tuple[Heard, Page]:
    heard = await world.ask("GET", path, **options)
    assert heard.status == status, heard.text
    return heard, Page(heard.text)


async def send_form(world: World, path: str = FORM, **changes: str) -> Heard:
    """Open the form, fill it in, send it."""
    _, form = await page(world, path)
    fields = {
        "nonce": form.value("nonce"),
        "units": "3",
        "document_type": "cn_resident_id",
        "document_number": "11010519491231002X",
        "phone": "13800000000",
    }
    return await post(world, path, fields | changes)


async def post(world: World, path: str, fields: dict[str, str]) -> Heard:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await world.ask("POST", path, data=urlencode(fields), headers=headers)
