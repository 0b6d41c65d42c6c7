"""A machine that lacks a part: the tests that need it are skipped by name, or fail where they are required."""

import pytest

from tests.parts_missing import REQUIRE, PartsMissing

pytest_plugins = ["pytester"]

TESTS = """
    import pytest
    from infra.local.missing import PartMissing

    pytestmark = pytest.mark.real

    @pytest.fixture(scope="session")
    def kafka():
        raise PartMissing(part="Java 17", why="there is no java", command="apt-get install java")

    def test_one(kafka): pass
    def test_two(kafka): pass

    def test_three():
        raise PartMissing(part="nginx", why="there is no nginx", command="apt-get install nginx")
"""

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\nmarkers =\n  real: needs the real tier\n"


@pytest.fixture
def ended(pytester: pytest.Pytester, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What pytest prints about three tests on a machine that has nothing."""
    monkeypatch.setenv(REQUIRE, request.param)
    pytester.makepyfile(TESTS)
    pytester.makeini(INI)
    result = pytester.runpytest_inprocess("-p", "no:locust", "-p", "no:cacheprovider", plugins=[PartsMissing()])
    return result.stdout.str()


@pytest.mark.parametrize("ended", ["", "browser"], indirect=True)
def test_what_is_missing_is_named_with_the_command_that_installs_it(ended: str) -> None:
    assert "3 skipped" in ended
    assert "NOT RUN: 2 tests. Java 17 is missing: there is no java. Install it: apt-get install java" in ended
    assert "NOT RUN: 1 tests. nginx is missing: there is no nginx. Install it: apt-get install nginx" in ended


@pytest.mark.parametrize("ended", ["real", "browser, real"], indirect=True)
def test_where_the_tier_is_required_it_is_a_failure(ended: str) -> None:
    assert "1 failed, 2 errors" in ended
    assert "Java 17 is missing" in ended
    assert "NOT RUN" not in ended
