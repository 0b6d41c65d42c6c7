"""One mutant: where it stands, what it does wrong, and who must notice."""

import re
from dataclasses import dataclass

from services.state.library import FILES, Library, build, source

_FUNCTION = re.compile(
    r"^(?:function RULES\.|RULES\.|local (?:function )?)(\w+)(?:\(| = \w+\(function\().*?^end\)?$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in the function `rule`: there it stands exactly once, so that no mutant outlives its rule."""

    rule: str
    wrong: str  # what it does wrong, as a sentence goes on behind "The library …"
    old: str
    new: str
    caught_by: str  # the contract test that says the rule

    def __str__(self) -> str:
        return f"{self.rule}: {self.wrong}"

    def library(self) -> Library:
        """The library with this mutant in it. AssertionError where its function or its piece is gone."""
        body = "\n".join(map(source, FILES))
        (text,) = [text for name, text in _functions(body) if name == self.rule] or [""]
        assert text, f"{self}: the library has no function {self.rule}"
        assert text.count(self.old) == 1, f"{self}: {text.count(self.old)} times in {self.rule}: {self.old}"
        return build(body.replace(text, text.replace(self.old, self.new)))


def functions_of(file: str) -> dict[str, str]:
    """The functions of a `.lua` file and their text."""
    return dict(_functions(source(file)))


def _functions(text: str) -> list[tuple[str, str]]:
    return [(found[1], found[0]) for found in _FUNCTION.finditer(text)]
