"""What a plan takes to happen, each with where it comes from and an option that changes it."""

from typing import Annotated

from msgspec import Meta

from services.platform.settings import Settings


class Arrivals(Settings, frozen=True, kw_only=True):
    """How people come, by published reports of real portals, and how much room is left."""

    regions: Annotated[
        int, Meta(description="Regions (cities, towns) that the residents are spread over evenly.", ge=1, le=10_000)
    ] = 1
    units_each: Annotated[int, Meta(description="Units in one booking.", ge=1, le=1_000)] = 1
    share_who_come: Annotated[
        float, Meta(description="Share of the residents who try at all, 0 to 1 (1: everybody).", gt=0, le=1)
    ] = 1.0
    share_at_opening: Annotated[
        float,
        Meta(description="Share of those who are there when it opens, 0 to 1 (Korea: 0.4 in 30 minutes).", gt=0, le=1),
    ] = 0.4
    first_taps_within_s: Annotated[
        float, Meta(description="Seconds in which all of those tap first (Zhengzhou: 3).", gt=0)
    ] = 3.0
    tries_each: Annotated[
        float,
        Meta(description="Wishes of each that reach the log: who hears 'slot full' takes another.", ge=1, le=20),
    ] = 2.0
    stock_looks_each: Annotated[
        float, Meta(description="Looks of each at the stock, at the opening (Guangzhou: 1).", ge=0)
    ] = 1.0
    status_looks_each: Annotated[
        float, Meta(description="Looks of each at the own status, at the opening (Guangzhou: 2 to 4).", ge=0)
    ] = 4.0
    retry_every_s: Annotated[
        float, Meta(description="Seconds after which who was told to come back does so (Zhengzhou: 5).", gt=0)
    ] = 5.0
    drain_within_s: Annotated[
        float, Meta(description="Seconds in which the rush is to be decided, where the fold can.", gt=0)
    ] = 60.0
    busy_share: Annotated[
        float, Meta(description="Share of a core that a process may be busy at the peak, 0 to 1.", gt=0, le=1)
    ] = 0.7
    spare: Annotated[int, Meta(description="Front doors and allocators that may be down at once.", ge=0, le=100)] = 1
    shard_memory_gib: Annotated[
        float, Meta(description="Memory of the machine of one Redis primary, in GiB.", gt=0)
    ] = 16.0
    log_copies: Annotated[int, Meta(description="Copies of the log (brokers that have all of it).", ge=1, le=9)] = 3
    open_for_h: Annotated[
        float, Meta(description="Hours that machines are kept for one round (Guangzhou: 4).", gt=0)
    ] = 4.0
    core_hour_price: Annotated[
        float, Meta(description="What one core costs in an hour, in your money; 0: no prices.", ge=0)
    ] = 0.0
