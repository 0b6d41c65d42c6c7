"""What nginx says by itself, as our services say it: problem details in the reader's language (RFC 9457)."""

from typing import Final, NamedTuple

from services.domain.reasons import DoorReason
from services.platform.languages import DEFAULT_LANGUAGE, LANGUAGES
from services.platform.problems import RETRY_AFTER_S, problem

UNKNOWN: Final = DoorReason.UNKNOWN_OUTCOME.value
OVERLOADED: Final = DoorReason.OVERLOADED.value
MALFORMED: Final = DoorReason.MALFORMED.value


class NginxProblem(NamedTuple):
    """Statuses that nginx makes, and the reason and status that a client gets."""

    found: tuple[int, ...]
    reason: str
    status: int


PROBLEMS: Final = (
    NginxProblem((400, 414, 494), MALFORMED, 400),
    NginxProblem((408,), DoorReason.TOO_SLOW.value, 408),
    NginxProblem((413,), DoorReason.TOO_LARGE.value, 413),
    NginxProblem((429,), OVERLOADED, 429),
)
GONE: Final = (500, 502, 503, 504)
"""No answer came from behind: a question may be asked again, of anything else nobody knows what became of it."""


def problem_texts() -> str:
    """For the `http` block: which language, and each answer in it. Browsers name the language they like best first."""
    lines = [
        "    map $http_accept_language $problem_language {",
        f"        default {DEFAULT_LANGUAGE};",
        r"        ~*^\s*(zh|cmn|yue)([-_][a-z]+)*[-_]hans zh-Hans;",
        r"        ~*^\s*(zh|cmn|yue)([-_][a-z]+)*[-_](hant|tw|hk|mo) zh-Hant;",
        r"        ~*^\s*(zh|cmn|yue) zh-Hans;",
        "    }",
    ]
    answers = {(each.reason, each.status) for each in PROBLEMS} | {(UNKNOWN, 504), (OVERLOADED, 503)}
    for reason, status in sorted(answers):
        lines.append(f"    map $problem_language {_variable(reason, status)} {{")
        texts = [(language, problem(reason, language, status=status).decode()) for language in LANGUAGES]
        lines += [*(f"        {language} {_quoted(text)};" for language, text in texts), "    }"]
    return "\n".join(lines)


def problem_pages() -> str:
    """For each `server` block."""
    lines = []
    for each in PROBLEMS:
        name = f"@problem_{each.status}"
        lines += [
            f"        error_page {' '.join(map(str, each.found))} = {name};",
            f"        location {name} {{",
            *_answering(is_for_later=each.status == 429),
            f"            return {each.status} {_variable(each.reason, each.status)};",
            "        }",
        ]
    return "\n".join(
        [
            *lines,
            f"        error_page {' '.join(map(str, GONE))} = @gone;",
            "        location @gone {",
            *_answering(is_for_later=True),
            f"            if ($request_method ~ ^(GET|HEAD)$) {{ return 503 {_variable(OVERLOADED, 503)}; }}",
            f"            return 504 {_variable(UNKNOWN, 504)};",
            "        }",
        ]
    )


def _answering(*, is_for_later: bool) -> list[str]:
    lines = [
        "            default_type application/problem+json;",
        "            add_header Cache-Control no-store always;",
        "            add_header X-Content-Type-Options nosniff always;",
    ]
    return [*lines, f"            add_header Retry-After {RETRY_AFTER_S} always;"] if is_for_later else lines


def _variable(reason: str, status: int) -> str:
    return f"$problem_{reason}_{status}"


def _quoted(text: str) -> str:
    """A word of nginx's language; it has no way to write a `$`."""
    if "$" in text:
        raise ValueError("nginx would take a $ for a variable's name")
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
