"""From method and path to a handler; every error on the way becomes a problem."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.domain.reasons import Reason
from services.platform.http_answers import Answer
from services.platform.metrics import HTTP_ANSWERS
from services.platform.problems import Problem
from services.platform.router import Router


async def told(_request: web.BaseRequest, *parameters: str) -> Answer:
    return Answer(200, json.dumps(parameters).encode())


async def refuses(_request: web.BaseRequest) -> Answer:
    raise Problem(Reason.SOLD_OUT)


async def fails(_request: web.BaseRequest) -> Answer:
    raise KeyError("11010519491231002X")


async def leaves(_request: web.BaseRequest) -> Answer:
    raise ConnectionResetError


@pytest.fixture
def router() -> Router:
    router = Router()
    router.get("/", told)
    router.post("/v1/reservations", told)
    router.get("/v1/reservations/{id}", told)
    router.delete("/v1/reservations/{id}", told)
    router.get("/v1/reservations/{id}/pass.svg", told)
    router.post("/v1/reservations/find", told)
    router.get("/sold-out", refuses)
    router.get("/broken", fails)
    router.get("/gone", leaves)
    return router


async def ask(router: Router, method: str, path: str, **headers: str) -> tuple[int, Any]:
    answer = await router(make_mocked_request(method, path, headers=headers))
    assert isinstance(answer, Answer)
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    ("method", "path", "parameters"),
    [
        ("GET", "/", []),
        ("GET", "/?lang=en", []),
        ("POST", "/v1/reservations", []),
        ("POST", "/v1/reservations?wait=3", []),
        ("GET", "/v1/reservations/00abc", ["00abc"]),
        ("GET", "/v1/reservations/00abc?place=1.x", ["00abc"]),
        ("DELETE", "/v1/reservations/00abc", ["00abc"]),
        ("GET", "/v1/reservations/00abc/pass.svg", ["00abc"]),
        ("HEAD", "/v1/reservations/00abc", ["00abc"]),
        ("POST", "/v1/reservations/find", []),
        ("GET", "/v1/reservations/%E5%8F%A3%20%2F", ["口 /"]),
        ("GET", "http://maskline/v1/reservations/00abc?x=1", ["00abc"]),
    ],
)
async def test_a_path_leads_to_its_handler(router: Router, method: str, path: str, parameters: list[str]) -> None:
    assert await ask(router, method, path) == (200, parameters)


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/reservations/",
        "/v1/reservations/a/b",
        "/v2",
        "//",
        "/v1//reservations",
        "*",
        "/" + "a" * 9000,
    ],
)
async def test_a_path_that_is_not_there_is_a_problem_in_words(router: Router, path: str) -> None:
    status, content = await ask(router, "GET", path)
    assert (status, content["reason"]) == (404, "not_found")


async def test_a_wrong_method_hears_the_right_ones(router: Router) -> None:
    answer = await router(make_mocked_request("PUT", "/v1/reservations/00abc"))
    assert isinstance(answer, Answer)
    assert answer.status == 405
    assert b"Allow: DELETE, GET, HEAD\r\n" in answer.headers


async def test_a_refusal_is_told_in_the_readers_language(router: Router) -> None:
    status, content = await ask(router, "GET", "/sold-out", **{"Accept-Language": "zh-HK"})
    assert (status, content["title"]) == (409, "口罩已經全部約完")


async def test_an_error_of_ours_is_a_500_that_tells_nothing(router: Router) -> None:
    status, content = await ask(router, "GET", "/broken")
    assert (status, content["reason"]) == (500, "internal_error")
    assert "11010519491231002X" not in json.dumps(content)


async def test_a_client_that_left_is_not_answered(router: Router) -> None:
    with pytest.raises(ConnectionResetError):
        await router(make_mocked_request("GET", "/gone"))


async def test_answers_are_counted_by_pattern_and_never_by_path(router: Router) -> None:
    before = HTTP_ANSWERS.counts["/v1/reservations/{id}", 200]
    await ask(router, "GET", "/v1/reservations/00secret")
    assert HTTP_ANSWERS.counts["/v1/reservations/{id}", 200] == before + 1
    assert not any("00secret" in str(labels) for labels in HTTP_ANSWERS.counts)


def test_two_handlers_for_one_route_are_a_mistake(router: Router) -> None:
    with pytest.raises(ValueError, match="has a handler already"):
        router.post("/v1/reservations", told)
