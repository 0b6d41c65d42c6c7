"""Who may do what in the log: a Kafka user a service, with what it needs and nothing else.

WRITE and READ include DESCRIBE. Nobody has DELETE, ALTER or ALTER_CONFIGS: the log is the truth, and whoever runs Kafka
changes it as a super user, by hand.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1
from aiokafka.protocol.api import Request

from services.platform.errors import MasklineError
from services.state.recovery import GROUP
from services.stream.topics import COMMANDS, EVENTS


class Resource(IntEnum):
    """Kafka's numbers."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4


class Operation(IntEnum):
    """Kafka's numbers."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


LITERAL: Final = 3
ALLOW: Final = 3
ANYWHERE: Final = "*"


class Right(NamedTuple):
    """Something that a user may do with one thing."""

    resource: Resource
    name: str
    operation: Operation


READS_COMMANDS: Final = Right(Resource.TOPIC, COMMANDS, Operation.READ)
WRITES_COMMANDS: Final = Right(Resource.TOPIC, COMMANDS, Operation.WRITE)
READS_EVENTS: Final = Right(Resource.TOPIC, EVENTS, Operation.READ)
LOOKS_AT_GROUP: Final = Right(Resource.GROUP, GROUP, Operation.DESCRIBE)
"""`published` is the allocators' committed offset."""
DOOR: Final = (WRITES_COMMANDS, READS_COMMANDS, LOOKS_AT_GROUP)
"""A door writes commands, and reads whether the log is still the one that it knows."""

RIGHTS: Final[Mapping[str, Sequence[Right]]] = {
    "front-door": DOOR,
    "counter": DOOR,
    "console": DOOR,
    "clock": DOOR,
    "allocator": (
        READS_COMMANDS,
        Right(Resource.TOPIC, EVENTS, Operation.WRITE),
        Right(Resource.GROUP, GROUP, Operation.READ),
    ),
    "ledger": (READS_COMMANDS, READS_EVENTS),
    # verify, doctor, campaign export: whoever looks, and changes nothing.
    "audit": (
        READS_COMMANDS,
        READS_EVENTS,
        LOOKS_AT_GROUP,
        Right(Resource.TOPIC, COMMANDS, Operation.DESCRIBE_CONFIGS),
        Right(Resource.TOPIC, EVENTS, Operation.DESCRIBE_CONFIGS),
    ),
    # `maskline rebuild`.
    "rebuild": (READS_COMMANDS, LOOKS_AT_GROUP),
    # `maskline up` before the first service: topics, and the first record of each partition.
    "setup": (
        Right(Resource.TOPIC, COMMANDS, Operation.CREATE),
        Right(Resource.TOPIC, EVENTS, Operation.CREATE),
        Right(Resource.TOPIC, EVENTS, Operation.DESCRIBE),
        # Whether a restore of the log has not ended.
        Right(Resource.TOPIC, COMMANDS, Operation.DESCRIBE_CONFIGS),
        WRITES_COMMANDS,
        READS_COMMANDS,
    ),
}


class RightsRefused(MasklineError):
    """Kafka did not take the rights of its users: {why}."""


class _Grant(Request[CreateAclsRequest_v1]):  # type: ignore[misc]  # aiokafka ships no types
    """All of them at once; aiokafka's own request has room for one."""

    API_KEY = CreateAclsRequest_v1.API_KEY

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(list(self._rows))


async def grant(admin: AIOKafkaAdminClient, rights: Mapping[str, Iterable[Right]]) -> None:
    """Give each user its rights; those that it has stay. `admin` is a super user's. Raises RightsRefused."""
    rows = [
        (right.resource, right.name, LITERAL, f"User:{user}", ANYWHERE, right.operation, ALLOW)
        for user, all_of_user in rights.items()
        for right in all_of_user
    ]
    answer = await admin._send_to_controller(_Grant(rows))
    for code, text in answer.creation_responses:
        if code:
            raise RightsRefused(why=text or for_code(code).__name__)
