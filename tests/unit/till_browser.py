"""A browser at the till, as far as the pages need one."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from tests.unit.counter_world import CounterWorld, Heard

NONCE = re.compile(r'name="nonce" value="([^"]+)"')


@dataclass
class Browser:
    """Keeps cookies and the last page, as a browser does."""

    world: CounterWorld
    language: str = "en"
    cookies: dict[str, str] | None = None
    page: Heard | None = None

    async def opens(self, path: str = "/") -> Heard:
        return await self._asks("GET", path)

    async def sends(self, path: str, *, nonce: str | None = None, **form: str) -> Heard:
        """Fills in a form of the last page."""
        return await self._asks("POST", path, {"nonce": self.nonce if nonce is None else nonce, **form})

    @property
    def nonce(self) -> str:
        assert self.page is not None
        found = NONCE.search(self.page.text)
        return found[1] if found else ""

    @property
    def card(self) -> str:
        """The answer on top of the page, without markup."""
        assert self.page is not None
        found = re.search(r'<section class="card.*?</section>', self.page.text, re.DOTALL)
        return html.unescape(re.sub(r"<[^>]+>|\s+", " ", found[0])) if found else ""

    async def _asks(self, method: str, path: str, form: dict[str, str] | None = None) -> Heard:
        jar = self.cookies = {} if self.cookies is None else self.cookies
        headers = {"Accept-Language": self.language, "Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())}
        async with self.world.http.request(
            method, self.world.url + path, data=form, headers=headers, allow_redirects=False
        ) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                jar.pop(name, None)
                if value:
                    jar[name] = value
            heard = Heard(answer.status, dict(answer.headers), await answer.read())
        if heard.status == 303:
            return await self._asks("GET", heard.headers["Location"])
        self.page = heard
        return heard


async def paired(world: CounterWorld, terminal: str = "till-1", pharmacy: str = "p-1") -> Browser:
    browser = Browser(world)
    await browser.opens()
    heard = await browser.sends("/pair", pairing_code=world.invites(terminal, pharmacy))
    assert heard.status == 200
    return browser
