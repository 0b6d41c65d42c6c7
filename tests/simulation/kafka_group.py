"""The allocators' consumer group: who has which partition, who is told when, and whose commits count.

Rebalances are eager, and a member hears of them when it can: one that was paused learns that its partitions were
revoked after others own them, and its commits may or may not be refused until then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from services.stream.place import Offset, PartitionId
from tests.simulation.kafka_log import SimulatedLog, SimulatedReader
from tests.simulation.promises import Promises
from tests.simulation.surroundings import Surroundings
from tests.simulation.virtual_loop import Process

if TYPE_CHECKING:
    from services.stream.group_membership import Callback

SESSION_TIMEOUT_S: Final = 10.0
HEARTBEAT_S: Final = 3.0
MAX_REBALANCE_S: Final = 2.0


@dataclass(slots=True)
class _Member:
    process: Process
    reader: SimulatedReader
    on_assigned: "Callback"
    on_revoked: "Callback"
    is_in: bool = True
    partitions: frozenset[PartitionId] = frozenset()
    hears_s: float = 0.0
    told: Any = field(default=None)
    messages: list[tuple[int, frozenset[PartitionId] | None]] = field(default_factory=list)


class KafkaGroup:
    """The coordinator."""

    def __init__(self, log: SimulatedLog, promises: Promises) -> None:
        self.generation = 0
        self._log: Final = log
        self._around: Final[Surroundings] = log.around
        self._promises: Final = promises
        self._members: Final[dict[str, _Member]] = {}
        self._around.loop.world.after(HEARTBEAT_S, self._look)

    def join(self, process: Process, reader: SimulatedReader, on_assigned: "Callback", on_revoked: "Callback") -> None:
        """A new member."""
        member = _Member(process, reader, on_assigned, on_revoked)
        self._members[process.name] = member
        process.spawn(self._listen(member), "group")
        self.rebalance("somebody joined")

    def leave(self, process: Process) -> None:
        """A member says goodbye."""
        if self._members.pop(process.name, None) is not None:
            self.rebalance("somebody left")

    def rebalance(self, why: str) -> None:
        """Take everything from everybody, then share it out anew; each hears it in its own time."""
        chance = self._around.chance
        self.generation += 1
        inside = [member for member in self._members.values() if member.is_in]
        self._around.note("group", f"generation {self.generation} of {[m.process.name for m in inside]}: {why}")
        chance.shuffle(inside)
        shares: list[set[PartitionId]] = [set() for _ in inside]
        for partition in range(self._around.partitions if inside else 0):
            shares[partition % len(inside)].add(PartitionId(partition))
        starts_s = chance.random() * MAX_REBALANCE_S
        for member, share in zip(inside, shares, strict=True):
            member.partitions = frozenset(share)
            self._tell(member, None, chance.random() * starts_s)
            self._tell(member, member.partitions, starts_s + self._around.delay_s())

    def commit(self, process: Process, generation: int, offsets: Mapping[PartitionId, Offset]) -> str | None:
        """Take committed offsets; or why not."""
        weather, chance = self._around.weather, self._around.chance
        if chance.random() < weather.refused_commits:
            return "the coordinator says so"
        if self._members:
            member = self._members.get(process.name)
            is_fenced = member is None or not member.is_in or generation != self.generation
            if is_fenced and chance.random() >= weather.unfenced_commits:
                return "not a member of this generation"
        for partition, offset in offsets.items():
            self._promises.forgotten += offset < self._log.committed.get(partition, 0)
            self._log.committed[partition] = offset
            self._promises.committed(partition, offset)
        self._around.note(process.name, f"committed {dict(offsets)}")
        return None

    def expire(self) -> None:
        """Committed offsets are forgotten after seven days."""
        self._promises.forgotten += 1
        self._log.committed.clear()
        self._log.commits_expired = True

    def _look(self) -> None:
        """Whoever was silent for too long is out; whoever is back is let in."""
        is_changed = False
        now_s = self._around.loop.now_s
        for name, member in list(self._members.items()):
            process = member.process
            if process.is_dead or (process.is_paused and now_s - process.paused_since_s > SESSION_TIMEOUT_S):
                is_changed = is_changed or member.is_in
                member.is_in = False
                if process.is_dead:
                    del self._members[name]
            elif process.acts and not member.is_in:
                is_changed = member.is_in = True
        if is_changed:
            self.rebalance("heartbeats")
        self._around.loop.world.after(HEARTBEAT_S, self._look)

    def _tell(self, member: _Member, partitions: frozenset[PartitionId] | None, delay_s: float) -> None:
        """None revokes. A member hears everything in the order in which it was said."""
        now_s = self._around.loop.now_s
        member.hears_s = max(member.hears_s, now_s + delay_s)
        message = (self.generation, partitions)
        self._around.loop.world.at(member.hears_s, self._heard, member, message)

    def _heard(self, member: _Member, message: tuple[int, frozenset[PartitionId] | None]) -> None:
        member.messages.append(message)
        if member.told is not None and not member.told.done():
            member.told.set_result(None)

    async def _listen(self, member: _Member) -> None:
        """What `GroupMembership` does with aiokafka's callbacks, in the member's own process."""
        reader = member.reader
        while True:
            while member.messages:
                generation, partitions = member.messages.pop(0)
                if partitions is None:
                    revoked = reader.assigned()
                    reader.next.clear()
                    callback, about = member.on_revoked, revoked
                else:
                    reader.assigned_now = set(partitions)
                    reader.next.clear()
                    reader.generation = generation
                    callback, about = member.on_assigned, partitions
                word = "revoked" if partitions is None else "assigned"
                self._around.note(member.process.name, f"{word} {sorted(about)}")
                try:
                    await callback(about)
                except Exception as error:
                    reader.failure = error
                    raise
            member.told = self._around.loop.create_future()
            await member.told
