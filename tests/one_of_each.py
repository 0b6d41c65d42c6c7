"""A command of every kind."""

from typing import Any

import msgspec

from services.domain import commands as c
from tests import builders as b
from tests import room_builders as rooms


def one_of_each() -> list[c.Command]:
    """A command of every kind, with something in every field that its fold reads."""
    booking = b.reserve("anna", digit=3, terminal=b.TERMINAL, ticket=rooms.receipt("anna"))
    day = c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=b.MIDNIGHT_MS + b.DAY_MS, digits=[1, 3])
    rules = c.CampaignRules(
        household_max=2, cool_down=True, entitled=1, stagger=[day], waiting_per_mille=500, assisted_per_mille=100,
        reserve_per_mille=20,
    )  # fmt: skip
    times_ms: dict[str, Any] = dict.fromkeys(
        ("pick_until_ms", "cool_until_ms", "release_ms", "promote_until_ms", "change_until_ms"), b.NOON_MS
    )
    return [
        b.genesis(), b.tick(5), b.adopt_rules(1), b.assign_region(b.REGION, b.CAMPAIGN),
        b.define(1, rules=rules, delete_ms=b.NOON_MS),
        b.add_pharmacies([b.pharmacy()]), b.add_slots([b.slot(**times_ms)]), b.add_entitled(["anna"]), b.seal(),
        b.change_rules(**msgspec.structs.asdict(rules)),
        b.open_(by_clock=True), b.pause(), b.resume(), b.close(by_clock=True), booking,
        b.cancel(booking, terminal=b.TERMINAL), b.change_slot(booking, "evening", terminal=b.TERMINAL),
        b.pick_up(booking), b.record(booking), b.undo(booking),
        b.change_quota(-5, share="assisted", terminal=b.TERMINAL),
        b.withdraw(keep=2), b.move(b.SLOT, "evening", keep=3), b.release(), b.end_waiting(), b.expire(1),
        b.invite(), b.pair(), b.revoke(),
        rooms.set_valve("automatic", outflow_per_s=50, factor_per_mille=2_000), rooms.prepare_room(),
        rooms.count_room(7), rooms.freeze_room(9), rooms.lease_numbers(100), rooms.admit(5), rooms.close_room(),
        b.purge(
            booking, residents=["anna"], phones=["anna"], entitled=["anna"], sheets=[0], waiting={b.SLOT: 0}, draft=1
        ),
    ]  # fmt: skip
