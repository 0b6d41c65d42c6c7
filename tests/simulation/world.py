"""One world, put together for one schedule: log, Redis, group, allocators, doors and people."""

from random import Random
from typing import Final

from services.audit.report import Report
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.contract.random_campaigns import Record
from tests.contract.random_logs import random_log
from tests.simulation.allocators import SimulatedAllocator, run_allocator
from tests.simulation.auditors import begin_rebuild, begin_verify
from tests.simulation.disasters import Disasters
from tests.simulation.doors import People, SimulatedDoor, Wish
from tests.simulation.fold_port import FoldPort
from tests.simulation.kafka_group import KafkaGroup
from tests.simulation.kafka_log import SimulatedLog
from tests.simulation.plan import Plan
from tests.simulation.promises import Promises
from tests.simulation.protections import ALL, Protection
from tests.simulation.redis_server import SimulatedRedis
from tests.simulation.surroundings import Surroundings, Trace
from tests.simulation.virtual_loop import Process, VirtualLoop

BEGINNING: Final = 14
"""Records of a random log that define and open its campaigns; everybody's log begins with them."""
VERIFY_S: Final = 30.0
LOOK_S: Final = 0.2
LOGS: Final = 24
"""Random logs that schedules take their pieces of: a log takes as long to write as a schedule to run."""


class World:
    """Everything there is, until `around.loop` is cleaned up."""

    def __init__(self, seed: int, plan: Plan, protections: frozenset[Protection], *, is_traced: bool) -> None:
        chance = Random(f"world {seed}")
        loop = VirtualLoop(Random(f"order {seed}"))
        self.plan: Final = plan
        self.around: Final = Surroundings(
            loop, chance, plan.weather, Trace(is_kept=is_traced), plan.partitions, protections
        )
        self.promises: Final = Promises(self.around, looks_inside=protections == ALL)
        self.log: Final = SimulatedLog(self.around, self.promises)
        self.promises.watch(self.log)
        self.log.group = KafkaGroup(self.log, self.promises)
        self.redis: Final = SimulatedRedis(self.around, FoldPort(plan.port(chance, protections)), self.promises)
        self.disasters: Final = Disasters(self, plan.disasters)
        self.around.struck = self.disasters.strike
        self.around.held = self.disasters.hold
        self.allocators: Final[list[SimulatedAllocator]] = []
        self.doors: Final[list[SimulatedDoor]] = []
        self.people: Final = People(self.around, self._open_doors)
        self._count = 0
        self._stopping: Final[set[str]] = set()
        self._replaceable = True

    def begin(self, records: list[Record]) -> None:
        """Write the beginning of the log, start everybody, and send the people on their way."""
        for partition in range(self.around.partitions):
            first = [record.value for record in records[:BEGINNING]]
            self.log.write(COMMANDS, partition, first, self.around.now_ms)
            for value in first:
                self.promises.may_be_written(partition, value)
        for _ in range(self.plan.allocators):
            self.start_allocator()
        for _ in range(self.plan.doors):
            self.start_door()
        for record in records[BEGINNING:]:
            partition = self.around.chance.randrange(self.around.partitions)
            self.people.want(partition, record.value, self.around.chance.random() * self.plan.busy_s, tries=4)
        self.disasters.begin()

    # -- processes --------------------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """All that run or are paused."""
        everybody = [*(each.process for each in self.allocators), *(each.process for each in self.doors)]
        return [process for process in everybody if not process.is_dead]

    def running_doors(self) -> list[SimulatedDoor]:
        """Those that nobody has asked to stop."""
        return [each for each in self.doors if each.process.acts and self._stays(each.process)]

    def running_allocators(self) -> list[SimulatedAllocator]:
        """Those that nobody has asked to stop."""
        return [each for each in self.allocators if each.process.acts and self._stays(each.process)]

    def start_allocator(self) -> None:
        """One more."""
        process = self._process("allocator")
        allocator = SimulatedAllocator(self.around, self.log, self.redis, self.promises, process)
        self.allocators.append(allocator)
        by_hand = frozenset(PartitionId(p) for p in range(self.around.partitions)) if self.plan.is_by_hand else None
        process.spawn(run_allocator(allocator, by_hand), "main")

    def start_door(self) -> None:
        """One more; the first two also keep the clock."""
        process = self._process("door")
        door = SimulatedDoor(self.around, self.log, self.redis, self.promises, process)
        self.doors.append(door)
        if len(self.doors) <= self.plan.clocks or self.around.chance.random() < 0.3:
            process.spawn(door.tick(self.plan.tick_s), "clock")

    def rebuild(self) -> None:
        """Somebody runs `maskline rebuild`, needed or not."""
        begin_rebuild(self.around, self.log, self.redis, self._process("rebuild"))

    def verify(self) -> Report:
        """What `maskline verify` says, everything being at rest."""
        asked = begin_verify(self.around, self.log, self.redis, self._process("verify"))
        until_s = self.around.loop.now_s + VERIFY_S
        while not asked.done() and self.around.loop.now_s < until_s:
            self.around.loop.run_until_s(self.around.loop.now_s + LOOK_S)
        return asked.result()

    def replace(self, process: Process) -> None:
        """What the launcher does when one has died."""
        if not self._replaceable:
            return
        if process.name.startswith("allocator"):
            self.start_allocator()
        else:
            self.start_door()

    def stop_allocator(self, allocator: SimulatedAllocator) -> None:
        """SIGTERM: it lets go of everything, and another one takes its place."""
        self._stopping.add(allocator.process.name)
        allocator.process.spawn(self._stop(allocator), "stop")

    def stop_door(self, door: SimulatedDoor) -> None:
        """SIGTERM: it writes what it has taken, and another one takes its place."""
        self._stopping.add(door.process.name)
        door.process.spawn(self._stop(door), "stop")

    async def _stop(self, service: SimulatedAllocator | SimulatedDoor) -> None:
        await service.stop()
        service.process.kill()
        self.around.loop.world.after(self.around.chance.random(), self.replace, service.process)

    # -- the end of the faults --------------------------------------------------------------------------------------

    def heal_all(self) -> None:
        """Everything that was taken away is given back, and nothing breaks any more."""
        self.around.note("HEALED", "everything")
        self._calm()
        self.log.brokers.update(range(3))
        for process in self.processes():
            process.resume()
        while len(self.running_allocators()) < self.plan.allocators:
            self.start_allocator()
        while not self._open_doors():
            self.start_door()

    def heal_a_majority(self) -> None:
        """Of brokers, allocators and doors one each stays away for ever; the others are well."""
        self._calm()
        chance = self.around.chance
        lost = chance.randrange(3)
        self.log.brokers.clear()
        self.log.brokers.update({0, 1, 2} - {lost})
        for group, wanted in ((self.allocators, self.plan.allocators), (self.doors, self.plan.doors)):
            there = [each.process for each in group if self._stays(each.process)]
            away = chance.choice(there) if there else None
            if away is not None and chance.random() < 0.5:
                away.kill()
            elif away is not None:
                away.pause()
            for process in there:
                if process is not away:
                    process.resume()
            start = self.start_allocator if group is self.allocators else self.start_door
            for _ in range(max(1, wanted - 1) - sum(process.acts for process in there)):
                start()
        self.around.note("HEALED", f"all but broker {lost}, and one allocator and one door at most")

    def rows(self) -> dict[int, dict[str, bytes]]:
        """What Redis has, per partition."""
        return {partition: shard.rows for partition, shard in enumerate(self.redis.shards)}

    def is_finished(self) -> bool:
        """Whether all that the log has, and all that may still come, is decided, published and committed."""
        rows = self.rows()
        is_quiet = self.log.in_flight == 0 and not self.redis.foreign
        return is_quiet and all(self.promises.is_finished(p, rows[p]) for p in rows)

    def ask_for_more(self, count: int) -> list[Wish]:
        """People who come when all has healed."""
        chance = self.around.chance
        records = wishes(chance.randrange(50), count)[-count:]
        now_s = self.around.loop.now_s
        return [
            self.people.want(chance.randrange(self.around.partitions), record.value, now_s + chance.random() * 5.0, 20)
            for record in records
        ]

    def _open_doors(self) -> list[SimulatedDoor]:
        """A balancer sends nobody to a door that is dead; one that stands still it notices when all is calm."""
        is_calm = not self._replaceable
        return [door for door in self.doors if self._stays(door.process) and not (is_calm and door.process.is_paused)]

    def _stays(self, process: Process) -> bool:
        return not process.is_dead and process.name not in self._stopping

    def _calm(self) -> None:
        self._replaceable = False
        self.disasters.stop()
        self.around.weather.calm()
        self.redis.is_away = False
        for process in self.processes():
            process.cut_from.clear()

    def _process(self, service: str) -> Process:
        self._count += 1
        process = Process(self.around.loop, f"{service}-{self._count}")
        process.skew_s = self.around.chance.choice(self.plan.skews_s)
        return process


def wishes(seed: int, count: int) -> list[Record]:
    """A random log's records; few logs are made, and each schedule takes a piece of one."""
    records = random_log(seed % LOGS, 120)
    chance = Random(f"wishes {seed}")
    start = chance.randint(BEGINNING, max(BEGINNING, len(records) - count))
    return [*records[:BEGINNING], *records[start : start + count]]
