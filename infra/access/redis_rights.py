"""Who may do what in Redis: a user a service, by Redis' own access rules, with what it needs and nothing else.

The fold runs as whoever calls it, so an allocator has to be allowed what the function does. Everybody else reads; a
front door writes the rows of its waiting rooms, and nothing beside them.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.platform.access import read_password

READ: Final = "%R~{p*}:* +ping +get +mget +scan +cluster|nodes"
LOOK: Final = "+info +config|get +function|list"
WAITING_ROOM: Final = "(%RW~{p*}:waiting:* +get +mget +pfadd +expire)"
FOLD: Final = "%RW~{p*}:* +fcall +function|load +mset +unlink"

RULES: Final[Mapping[str, str]] = {
    "front-door": f"{READ} {WAITING_ROOM}",
    "counter": READ,
    "console": READ,
    "clock": f"{READ} +pfcount",
    "allocator": f"{READ} {LOOK} {FOLD}",
    # `maskline rebuild`, which folds, and loads snapshots: rows, while the head is the one that it has put there.
    "rebuild": f"{READ} {LOOK} {FOLD} +set +del +watch +multi +exec",
    # verify, doctor, campaign export: whoever looks, and changes nothing.
    "audit": f"{READ} {LOOK}",
    # `maskline up` before the first service, and what makes a cluster of the nodes.
    "setup": "+ping +info +cluster",
    # A replica, as it comes to its primary.
    "replica": "+ping +psync +replconf",
}
NOBODY: Final = "user default off resetchannels -@all"
"""Who comes without a name."""


def acl_file(passwords: Mapping[str, Path], rules: Mapping[str, str]) -> str:
    """`users.acl` as Redis reads it; it holds digests, no passwords. Raises what reading passwords raises."""
    lines = [NOBODY]
    for user, rule in rules.items():
        password = read_password(passwords[user], what="Redis", user=user, option="redis-password-file")
        digest = hashlib.sha256(password.encode()).hexdigest()
        lines.append(f"user {user} on #{digest} resetchannels -@all {rule}")
    return "".join(f"{line}\n" for line in lines)
