"""A campaign of a running system, written back as the files that it could have come from."""

from pathlib import Path

import msgspec

from services.domain.campaign import Campaign
from services.domain.campaign_document import entitled_file
from services.domain.campaign_times import timed
from services.domain.commands import Pharmacy, Slot
from services.platform.campaign_files import export
from services.platform.errors import MasklineError
from services.platform.settings import SystemSettings
from services.state.catalogue import CampaignView, Catalogue
from services.state.readers import StateReader
from services.state.redis_access import redis_address
from services.state.store import open_store
from services.stream.topics import count_partitions


class CampaignUnknown(MasklineError):
    """There is no campaign {name} in this system. {known}"""


class FileExists(MasklineError):
    """{path} is there already; nothing was written. Name another file, or say --overwrite."""


async def campaign_now(settings: SystemSettings, name: str) -> Campaign:
    """The campaign as it stands: quotas that were changed since are those of now. Raises CampaignUnknown."""
    partitions = await count_partitions(settings)
    redis = open_store(redis_address(settings), timeout_s=settings.redis_timeout_s)
    try:
        catalogue = Catalogue(StateReader(redis), partitions)
        await catalogue.refresh()
        view = catalogue.get(name)
        if view is None:
            names = ", ".join(sorted(each.name for each in catalogue))
            raise CampaignUnknown(name=name, known=f"There are: {names}." if names else "There is none at all.")
        return await _whole(catalogue, view)
    finally:
        await redis.aclose()


async def _whole(catalogue: Catalogue, view: CampaignView) -> Campaign:
    definition = view.definition
    pharmacies = [msgspec.convert(msgspec.structs.asdict(row), Pharmacy) for row in view.pharmacies.values()]
    slots = [
        Slot(
            id=slot,
            pharmacy=row.pharmacy,
            day=row.day,
            starts_ms=row.starts_ms,
            ends_ms=row.ends_ms,
            day_from_ms=row.day_from_ms,
            day_to_ms=row.day_to_ms,
            units=row.quota + row.assisted_quota + row.reserve_quota,
        )
        for slot, row in (await catalogue.stock(view)).items()
    ]
    timed_slots = tuple(timed(slot, definition.rules, view.where) for slot in slots)
    fields = msgspec.structs.asdict(definition)
    return Campaign(**fields, pharmacies=tuple(pharmacies), slots=timed_slots)


def missing_list(campaign: Campaign) -> str:
    """What to do about the list of the entitled, which a running system knows by pseudonyms only; empty without one."""
    if campaign.rules.entitled == len(campaign.entitled):
        return ""
    return (
        f"The list of the {campaign.rules.entitled} entitled is kept nowhere in clear and cannot be written back: put "
        f"yours beside the file as {entitled_file(campaign)}."
    )


def write_files(campaign: Campaign, file: Path, *, overwrite: bool) -> list[Path]:
    """The YAML file under the name that was asked for, its tables beside it. Raises FileExists."""
    texts = export(campaign)
    (yaml_name, yaml_text), *tables = texts.items()
    del yaml_name
    content = {file: yaml_text, **{file.with_name(name): text for name, text in tables}}
    if not overwrite:
        for path in content:
            if path.exists():
                raise FileExists(path=path)
    file.parent.mkdir(parents=True, exist_ok=True)
    for path, text in content.items():
        path.write_text(text, "utf-8", newline="")
    return list(content)
