"""One visit of somebody with a browser: the language they read, links that keep it, and the frame around each page."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from services.domain.campaign import Definition
from services.front_door.pages.markup import NOTHING, Html, fill, joined, stylesheet
from services.front_door.words import NAMES, words
from services.platform.http_answers import HTML, NO_STORE, Answer
from services.platform.http_requests import language
from services.platform.languages import LANGUAGES, Language

MAX_QUERY_FIELDS: Final = 10
FIRST: Final = "first"
"""In the links of who lost a place to a withdrawal: they see what is set aside, which the fold gives to them alone."""
# No script, no foreign host, no frame, and nothing told to where a link leads.
POLICY: Final = (
    b"Content-Security-Policy: default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'\r\nX-Frame-Options: DENY\r\nVary: Accept-Language\r\n"
)
KEPT_FOR_EVER: Final = b"Cache-Control: public, max-age=31536000, immutable\r\n"


class Visit:
    """What a page needs to know of the request that asks for it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.address = request.raw_path
        path, _, query = request.raw_path.partition("?")
        self.path = path
        try:
            self.query = dict(parse_qsl(query, max_num_fields=MAX_QUERY_FIELDS))
        except ValueError:
            self.query = {}
        asked = self.query.pop("lang", "")
        chosen: Language | None = next((one for one in LANGUAGES if one == asked), None)
        self.chosen = chosen or ""
        self.comes_first = self.query.pop(FIRST, "") == "1"
        self.spoken: Language = chosen if chosen is not None else language(request)
        self.words = words(self.spoken)

    def url(self, path: str, **query: object) -> str:
        """A path of ours, keeping the language that was chosen by hand, and that somebody may book before others."""
        fields = {name: value for name, value in query.items() if value not in ("", None)}
        if self.comes_first:
            fields[FIRST] = "1"
        if self.chosen:
            fields["lang"] = self.chosen
        return f"{path}?{urlencode(fields)}" if fields else path

    def title(self, definition: Definition) -> str:
        """A campaign's title in the reader's language, or the nearest there is; whoever comes upon a rehearsal is told
        wherever it is named."""
        title = self._nearest(definition.title)
        return self.words["rehearsal_title"].format(title=title) if definition.rehearsal else title

    def _nearest(self, titles: Mapping[str, str]) -> str:
        near: dict[str, tuple[str, ...]] = {"zh-Hans": ("zh-Hant", "en"), "zh-Hant": ("zh-Hans", "en")}
        for spoken in (self.spoken, *near.get(self.spoken, ("zh-Hans", "zh-Hant"))):
            if spoken in titles:
                return titles[spoken]
        return next(iter(titles.values()), "")

    def page(
        self,
        title: str,
        content: Html,
        *,
        status: int = 200,
        headers: bytes = NO_STORE,
        look_again_s: int = 0,
    ) -> Answer:
        """A whole page. `look_again_s` lets the browser load it again after so many seconds."""
        return Answer(status, self.document(title, content, look_again_s=look_again_s), HTML, POLICY + headers)

    def document(self, title: str, content: Html, *, look_again_s: int = 0) -> bytes:
        """The HTML of a page: content in its frame."""
        again = Html(f'<meta http-equiv="refresh" content="{look_again_s}">') if look_again_s else NOTHING
        body = fill(
            "frame",
            self.words,
            html_lang=self.spoken,
            title=title,
            again=again,
            stylesheet=stylesheet()[0],
            home_url=self.url("/"),
            content=content,
            languages=self._languages(),
        )
        return body.encode()

    def _languages(self) -> Html:
        first = {FIRST: "1"} if self.comes_first else {}
        return joined(
            fill(
                "language",
                {},
                url=f"{self.path}?{urlencode({**self.query, **first, 'lang': spoken})}",
                code=spoken,
                name=NAMES[spoken],
                current=Html(' aria-current="true"') if spoken == self.spoken else NOTHING,
            )
            for spoken in LANGUAGES
        )


def see(url: str, headers: bytes = b"") -> Answer:
    """After a form: look there. A reload then asks again and sends nothing again."""
    return Answer(303, b"", HTML, POLICY + NO_STORE + b"Location: " + url.encode("ascii") + b"\r\n" + headers)
