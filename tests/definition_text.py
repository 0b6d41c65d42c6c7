"""What a campaign's file says, but for its tables, as it stands in the log."""

from functools import cache

from services.domain.campaign import AppealContact, Controller, Definition, Rules, Window, definition_json
from services.domain.documents import DocumentType


@cache
def definition_text(campaign: str, region: str, title: str) -> str:
    """Valid and harmless; only what names it differs."""
    return definition_json(
        Definition(
            campaign=campaign,
            region=region,
            timezone="Asia/Shanghai",
            title={"en": title},
            controller=Controller(name="The city", contact="12345"),
            appeal_contact=AppealContact(phone="12345"),
            windows=(Window(opens_ms=1_580_486_400_000, closes_ms=1_580_572_800_000),),
            rules=Rules(units_max=5, document_types=(DocumentType.PASSPORT,)),
            delete_after_days=14,
            deletion_day="2020-02-15",
        )
    )
