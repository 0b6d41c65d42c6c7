"""I9: no document number, phone, credential or key in clear in the log, in Redis, in any output, metric or file.

Numbers are planted through every door, right and wrong ones, and then everything that the system keeps or says is
searched for them, as they were typed and as they are written in canonical form.
"""

import asyncio
import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from aiokafka import ConsumerRecord

from services.domain.events import decode, place_of
from services.platform.campaign_files import load
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, TOPICS, count_partitions
from tests.integration.cli_system import Up, maskline, small_campaign, up
from tests.integration.tiers import Tier
from tests.real.stores import everything_in

# Nobody's: the dates of birth lie in 1899 and before, and the passport's letters are not given out.
RIGHT = "11010518990321008X"
RIGHT_AS_TYPED = "110105 18990321 008x"
WRONG_CHECKSUM = "110105189903210081"
PASSPORT = "ZZ8675309QQ"
PHONES = ("13899867530", "13899867531", "13899867532")
PASSWORD = "a password nobody has"

LOG_TIMEOUT_S = 10.0


@dataclass
class Searched:
    """Everything the system keeps or says, by where it was found, and what must not be in it."""

    texts: dict[str, bytes]
    needles: dict[str, bytes] = field(default_factory=dict)

    def findings(self) -> list[str]:
        """Where which planted thing stands; the thing itself is not told."""
        return [
            f"{what} in {where}"
            for where, text in self.texts.items()
            for what, needle in self.needles.items()
            if needle in text
        ]


@pytest.fixture(scope="module")
def searched(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    folder = tmp_path_factory.mktemp("system")
    with up(folder / "data", *tier.options(folder / "data")) as system:
        file = small_campaign(tmp_path_factory.mktemp("campaign"))
        assert maskline("campaign", "apply", file, "--data", system.data).code == 0
        add = ("user", "add", "lin", "--role", "admin", "--password-stdin", "--data", system.data)
        added = maskline(*add, stdin=PASSWORD)
        assert added.code == 0, added.err
        needles = plant(system, file)
        texts = asyncio.run(of_the_log(system)) | of_redis(system) | of_processes(system)
        texts |= of_files(system, tier.kept_in())
        needles |= {f"the secret {path.name}": path.read_bytes().strip() for path in secret_files(system)}
        yield Searched(texts, needles)


def plant(system: Up, file: Path) -> dict[str, bytes]:
    """Bookings, look-ups and pick-ups, good and bad; what must not be found afterwards."""
    door, counter, console = (system.endpoints[name] for name in ("front_door", "counter", "console"))
    slot = load(file).slots[0]

    def book(kind: str, number: Any, phone: Any, **more: Any) -> dict[str, Any]:
        resident = {"document_type": kind, "document_number": number}
        wish = {"campaign": "small", "slot": slot.id, "units": 1, "resident": resident, "phone": phone, **more}
        return post(f"{door}/v1/reservations", wish, {"Prefer": "wait=10"})

    booked = book("cn_resident_id", RIGHT_AS_TYPED, PHONES[0])
    assert booked["state"] == "confirmed", booked
    book("cn_resident_id", WRONG_CHECKSUM, PHONES[1])
    book("passport", PASSPORT, f"+86 {PHONES[1]}")
    book("passport", PASSPORT, "not a phone " + PHONES[2])
    book("passport", PASSPORT, PHONES[2], unknown_field=RIGHT)
    book("passport", [PASSPORT], {"phone": PHONES[2]})
    post(f"{door}/v1/reservations", ("{" + RIGHT + PHONES[0]).encode(), {})
    for path in (f"/v1/reservations/{RIGHT}", f"/v1/{PHONES[0]}", f"/?document={RIGHT}&phone={PHONES[0]}"):
        ask("GET", door + path)
    form = {"campaign": "small", "slot": slot.id, "document_number": RIGHT, "phone": PHONES[0]}
    of_a_form = {"Content-Type": "application/x-www-form-urlencoded"}
    ask("POST", f"{door}/campaigns/small/slots/{slot.id}", urlencode(form).encode(), of_a_form)

    signed_in = post(f"{console}/v1/session", {"user": "lin", "password": PASSWORD})
    as_lin = {"Authorization": f"Bearer {signed_in['token']}"}
    invited = post(f"{console}/v1/terminals", {"pharmacy": slot.pharmacy, "why": "a test"}, as_lin)
    paired = post(f"{counter}/v1/terminals", {"pairing_code": invited["pairing_code"]})
    as_terminal = {"Authorization": f"Bearer {paired['token']}"}
    shown = {"document_type": "cn_resident_id", "document_number": RIGHT_AS_TYPED}
    assert len(post(f"{counter}/v1/lookups", shown, as_terminal)["reservations"]) == 1
    post(f"{counter}/v1/lookups", {**shown, "document_number": WRONG_CHECKSUM}, as_terminal)
    handed_out = post(f"{counter}/v1/pickups", shown, as_terminal)
    assert handed_out["state"] == "picked_up", handed_out
    post(f"{counter}/v1/pickups", {"short_code": booked["short_code"], "document_last4": "0000"}, as_terminal)
    post(f"{console}/v1/session", {"user": "lin", "password": PASSWORD + " at all"})
    return {
        "a document as it was typed": RIGHT_AS_TYPED.encode(),
        "a document": RIGHT.encode(),
        "a document in small letters": RIGHT.lower().encode(),
        "a wrong document": WRONG_CHECKSUM.encode(),
        "a passport": PASSPORT.encode(),
        **{f"phone {number}": phone.encode() for number, phone in enumerate(PHONES)},
        "a password": PASSWORD.encode(),
        "a reservation's id": booked["id"].encode(),
        "a pass": booked["pass"].encode(),
        "a terminal's token": paired["token"].rpartition(".")[2].encode(),
        "a pairing code": invited["pairing_code"].encode(),
        "a session": signed_in["token"].encode(),
        "the admin token": (system.data / "admin-token").read_bytes().strip(),
    }


# --------------------------------------------------------------------------------------------- where it could stand


async def of_the_log(system: Up) -> dict[str, bytes]:
    """Every command, and the events of all of them: a counter answers before the last ones are published."""
    settings = system.settings()
    partitions = await count_partitions(settings)
    readers = {topic: PartitionReader(settings, topic) for topic in TOPICS}
    texts = {}
    for partition in map(PartitionId, range(partitions)):
        end = await readers[COMMANDS].log_end(partition)
        for topic, reader in readers.items():
            await reader.assign([partition])
            reader.seek(partition, Offset(0))
            records: list[ConsumerRecord] = []
            async with asyncio.timeout(LOG_TIMEOUT_S):
                while not records or command_of(topic, records[-1]) < end - 1:
                    records += await reader.fetch(partition)
            texts[f"topic {topic}, partition {partition}"] = b"\n".join(record.value for record in records)
    for reader in readers.values():
        await reader.stop()
    return texts


def command_of(topic: str, record: ConsumerRecord) -> int:
    """The offset of the command that a record is, or tells of."""
    return record.offset if topic == COMMANDS else place_of(decode(record.value).id)[2]


def of_redis(system: Up) -> dict[str, bytes]:
    """Every key with its value."""
    found = asyncio.run(everything_in(system.root))
    return {f"Redis key {name.decode()}": name + b"\n" + value for name, value in found.items()}


def of_files(system: Up, kept_in: Sequence[Path]) -> dict[str, bytes]:
    """Everything on disk but the secrets themselves: outputs, files of Redis and Kafka, users, endpoints, the ledger.

    Kafka's indices are left out: offsets and times, ten megabytes each at their first size.
    """
    hidden = {*secret_files(system), system.data / "admin-token"}
    files = [path for folder in (system.data.parent, *kept_in) for path in folder.rglob("*") if path.is_file()]
    return {
        f"file {path}": path.read_bytes() for path in files if path not in hidden and not path.name.endswith("index")
    }


def of_processes(system: Up) -> dict[str, bytes]:
    """Metrics, and the command lines that every user of a machine can see."""
    texts = {}
    for process in system.endpoints["processes"]:
        texts[f"metrics of {process['service']}"] = ask("GET", f"{process['admin']}/metrics")
        texts[f"command line of {process['service']}"] = Path(f"/proc/{process['pid']}/cmdline").read_bytes()
    return texts


def secret_files(system: Up) -> list[Path]:
    return [path for path in (system.data / "secrets").rglob("*") if path.is_file()]


# ---------------------------------------------------------------------------------------------------------- the tests


@pytest.mark.safety
def test_nothing_that_was_planted_stands_anywhere_in_clear(searched: Searched) -> None:
    assert searched.findings() == []


@pytest.mark.control
def test_what_stands_in_clear_is_found(searched: Searched) -> None:
    leaky = Searched({**searched.texts, "a log": b'{"phone":"+8613899867531"}'}, searched.needles)
    assert leaky.findings() == ["phone 1 in a log"]


def test_the_search_looked_at_everything_there_is(searched: Searched) -> None:
    places = " ".join(searched.texts)
    for place in (
        "topic commands, partition 0",
        "topic events",
        "Redis key {p00}:r:",
        "logs/front-door.log",
        "appendonly",
        "ledger.sqlite",
    ):
        assert place in places
    for service in ("front-door", "counter", "console", "allocator", "clock", "ledger"):
        assert f"metrics of {service}" in places
    assert b'"reserve"' in searched.texts["topic commands, partition 0"]
    assert b"picked_up" in searched.texts["topic events, partition 0"]
    assert len(searched.needles) > 15


# ------------------------------------------------------------------------------------------------------------- asking


def ask(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
    connection.request(method, url.partition(where.netloc)[2], body, dict(headers or {}))
    told = connection.getresponse().read()
    connection.close()
    return told


def post(url: str, content: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    key = f"key-{abs(hash((url, body)))}"
    told: dict[str, Any] = json.loads(
        ask("POST", url, body, {"Content-Type": "application/json", "Idempotency-Key": key, **(headers or {})})
    )
    return told
