"""The one base class of everything that goes wrong in words.

An error is its docstring: the class says what is wrong and what to do, with `{names}` filled from keyword arguments.

    class PortInUse(MasklineError):
        '''Port {port} on {host} is taken by another program. Stop it, or choose another port with --{option}.'''

    raise PortInUse(port=8080, host="127.0.0.1", option="port")

It stands on the lowest floor because the domain raises errors too.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar


class MasklineError(Exception):
    """Something went wrong in Maskline."""

    exit_code: ClassVar[int] = 2
    """What a command ends with; its message is printed without a traceback."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        super().__init__(_flowing(inspect.getdoc(type(self)) or "").format(**values))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.values)


def _rebuilt(error: type[MasklineError], values: dict[str, Any]) -> MasklineError:
    return error(**values)


def _flowing(text: str) -> str:
    """Lines of one paragraph belong together; an empty line or an indented one (a command to type) stays apart."""
    paragraphs = []
    for block in text.split("\n\n"):
        indented = block.startswith((" ", "\t"))
        paragraphs.append(block if indented else " ".join(block.split()))
    return "\n\n".join(paragraphs)
