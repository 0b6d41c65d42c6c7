"""The product, altered for a story: `python -m tests.chaos.altered ALTERATION,… SERVICE …`.

Some alterations take a protection away, for controls; some bring a fault that comes from inside a process. None is a
switch of the product: a text of the library is changed, or an object replaced, in this process alone.
"""

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from services.state.recovery import Start
from tests.contract import patched_library

LIVES_FOR_S: Final = 2.0
LOOK_AT_SHIFT_S: Final = 0.2
BETWEEN_COMMITS_S: Final = 2.0  # nearly always: a database that is killed meets the ledger between the two
FOR_EVER_S: Final = "3600"
ANY_VERSION: Final = (
    ("  if head[HEAD.rules] > RULES_VERSION then return pack({'rules_too_new', position, {}}) end\n", ""),
    ("    if rules_asked_for(offset, command) > RULES_VERSION then\n", "    if false then\n"),
)
UNBOUNDED_TIME: Final = (
    (
        "    local now_ms = math.min(timestamps[i], head[HEAD.tick_ms] + AHEAD_OF_TICK_MS)\n",
        "    local now_ms = timestamps[i]\n",
    ),
)


# ------------------------------------------------------------------------------------------------------ protections


def position_check(_: str) -> None:
    """The fold applies whatever it is sent, applied before or not."""
    _with_library(*patched_library.POSITION_CHECK)


def gap_check(_: str) -> None:
    """The allocator starts where it has published to, wherever Redis is, and the fold takes a batch past its place."""
    from services.allocator import main
    from services.state.recovery import find_start as look

    async def at_published(*where: Any) -> Start:
        start = await look(*where)
        return Start(start.identity, start.published, start.published)

    vars(main)["find_start"] = at_published
    _with_library(*patched_library.GAP_CHECK)


def quota_check(_: str) -> None:
    """The fold gives out what nobody has."""
    _with_library(*patched_library.QUOTA_CHECK)


def one_view_for_all(_: str) -> None:
    """Each front door answers polls from what it has heard some time ago, and not all of them at the same time."""
    from dataclasses import replace

    from services.front_door.rooms import Rooms
    from services.state.catalogue import CampaignView

    now, heard = Rooms.now, dict[str, tuple[float, CampaignView]]()
    stays_s = 1.0 + secrets.randbelow(5)

    async def some_time_ago(self: Rooms, view: CampaignView) -> CampaignView:
        at_s, known = heard.get(view.name, (-stays_s, view))
        if time.monotonic() - at_s >= stays_s:
            at_s, known = time.monotonic(), await now(self, view)
            heard[view.name] = (at_s, known)
        return replace(known)

    vars_of(Rooms, now=some_time_ago)


def tickets_are_checked(_: str) -> None:
    """Whatever somebody shows is a ticket, and admitted."""
    from services.front_door.tickets import Ticket
    from services.front_door.waiting_room import WaitingRoom

    async def shown(_self: WaitingRoom, _text: str) -> Ticket:
        return Ticket(0, 1, 1, "0" * 16, is_early=False, number=0, expires_s=0)

    vars_of(WaitingRoom, shown=shown, why_not=lambda *_: None, word_for_fold=lambda *_: "")


def time_bound(_: str) -> None:
    """The fold takes every record's time for good."""
    _with_library(*UNBOUNDED_TIME)


def poison_check(_: str) -> None:
    """A record that cannot be read is an error, as with most consumers."""
    import msgspec

    from services.domain import commands
    from services.state import records

    def read(value: bytes | None) -> commands.Command:
        command = commands.decode(value)
        if isinstance(command, commands.Malformed):
            raise msgspec.DecodeError("a record that cannot be read")
        return command

    vars(records)["decode"] = read


def connection_check(_: str) -> None:
    """Whoever is connected anew goes on as if it were the same log."""
    from services.stream.connections import Connections

    vars_of(Connections, is_new=lambda *_: False, is_same=lambda *_: True)


def log_goes_forward(_: str) -> None:
    """A batch that is acknowledged at an offset before the last one's is as good as any."""
    from services.stream.group_commit import _Lane

    vars_of(_Lane, _check_not_back=lambda *_: None)


def behind_check(_: str) -> None:
    """A reader takes what Redis says, also where it has heard of more before."""
    from services.state.readers import StateReader

    vars_of(StateReader, _check_not_behind=lambda *_: None)


def key_check(of_the_log: str) -> None:
    """A process whose pepper and id key are not those of the log takes the log for its own."""
    from services.platform.secrets import Secrets

    vars_of(Secrets, key_check=lambda _: of_the_log)


def time_outs(_: str) -> None:
    """Whoever asks Redis waits for ever for the answer."""
    os.environ["MASKLINE_REDIS_TIMEOUT_S"] = FOR_EVER_S


def copies(_: str) -> None:
    """The log's word is taken once one broker has a record, and nobody else."""
    from services.stream import client

    made = vars(client)["AIOKafkaProducer"]
    vars(client)["AIOKafkaProducer"] = lambda **options: made(**(options | {"acks": 1}))


def one_transaction(_: str) -> None:
    """The ledger commits its watermark, and the rows a moment later."""
    from services.ledger import follower
    from services.sql.watermarks import store
    from tests.contract.ledger_world import commit

    def watermark_first(connection: Any, rows: Any, before: Any, after: Any) -> bool:
        moved = store(connection, [], before, after)
        commit(connection)
        time.sleep(BETWEEN_COMMITS_S)
        return moved and store(connection, rows, after, after)

    vars(follower)["store"] = watermark_first
    vars(follower)["has_row"] = lambda *_, **__: True  # a ledger that looks back finds it out, and stops


def version_check(_: str) -> None:
    """A library that decides whatever the version in force is."""
    _with_library(*ANY_VERSION)


def next_version(_: str) -> None:
    """The version to come."""
    from tests.chaos import next_version as version

    version.put_in_place()
    _with_library(*version.changes_of_the_library(version.VERSION))


def next_version_at_once(_: str) -> None:
    """The version to come, with its rules as if they were in force."""
    from tests.chaos import next_version as version

    version.put_in_place(in_force_from=1)
    _with_library(*version.changes_of_the_library(1))


def as_told_in(file: str) -> None:
    """At each start what a file says, if it says something: as when a new version is installed."""
    if installed := Path(file).read_text():
        ALTERATIONS[installed]("")


def same_key_same_id(_: str) -> None:
    """Whoever sends the same again makes another reservation."""
    from services.platform.identities import Identities

    once = Identities.reservation_id

    def anew(self: Identities, partition: int, campaign: str, resident: str, key: str) -> str:
        return once(self, partition, campaign, resident, key + secrets.token_hex(4))

    vars_of(Identities, reservation_id=anew)


# ------------------------------------------------------------------------------------------------ faults from inside


def dies_before_answering(while_there_is: str) -> None:
    """kill -9 between the log's acknowledgement and the answer to those who asked, a while after the start; as long as
    a file is there."""
    from services.stream import group_commit
    from services.stream.log_producer import answer_within as heard

    began_s = time.monotonic()

    def is_time() -> bool:
        return Path(while_there_is).exists()

    async def heard_and_died(timeout_s: float, acknowledgement: Any) -> Any:
        answer = await heard(timeout_s, acknowledgement)
        if time.monotonic() - began_s > LIVES_FOR_S and is_time():
            print("dies after an acknowledgement", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    vars(group_commit)["answer_within"] = heard_and_died


def clock_of(file: str) -> None:
    """The wall clock is off by as many seconds as stand in a file, which may change."""
    path = Path(file)
    true_s, true_ns = time.time, time.time_ns
    known = (0.0, -LOOK_AT_SHIFT_S)

    def shift_s() -> float:
        nonlocal known
        now_s = time.monotonic()
        if now_s - known[1] >= LOOK_AT_SHIFT_S:
            known = (float(path.read_text()), now_s)
        return known[0]

    vars(time)["time"] = lambda: true_s() + shift_s()
    vars(time)["time_ns"] = lambda: true_ns() + int(shift_s() * 1_000_000_000)


# ---------------------------------------------------------------------------------------------------------------------


def vars_of(kind: type, **replaced: Any) -> None:
    """Replace attributes of a class."""
    for name, value in replaced.items():
        setattr(kind, name, value)


def _with_library(*changes: tuple[str, str]) -> None:
    from services.allocator import main

    vars(main)["build"] = lambda: patched_library.without(*changes)


ALTERATIONS: Final[dict[str, Callable[[str], None]]] = {
    alteration.__name__: alteration
    for alteration in (
        position_check, gap_check, quota_check, time_bound, poison_check, connection_check, log_goes_forward, key_check,
        behind_check, one_view_for_all, tickets_are_checked, version_check, next_version, next_version_at_once,
        as_told_in, same_key_same_id, dies_before_answering, clock_of, time_outs, copies, one_transaction,
    )
}  # fmt: skip

if __name__ == "__main__":
    for words in sys.argv.pop(1).split(","):
        name, _, value = words.partition("=")
        ALTERATIONS[name](value)
    from services import cli

    sys.argv[0] = "maskline"
    cli.main()
