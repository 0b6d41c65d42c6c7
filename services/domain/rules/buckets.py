"""The units of a slot, in shares: public, assisted (through authenticated desks), reserve (for appeals)."""

from services.domain.rows import CampaignRow, Share, SlotRow

SHARES = {"public": Share.PUBLIC, "assisted": Share.ASSISTED, "reserve": Share.RESERVE}


def units_left(slot: SlotRow, share: int) -> int:
    """Units that a share of a slot may still give out."""
    if share == Share.PUBLIC:
        return slot.quota - slot.taken
    if share == Share.ASSISTED:
        return slot.assisted_quota - slot.assisted_taken
    return slot.reserve_quota - slot.reserve_taken


def units_taken(slot: SlotRow, share: int) -> int:
    """Units that a share of a slot has given out."""
    if share == Share.PUBLIC:
        return slot.taken
    if share == Share.ASSISTED:
        return slot.assisted_taken
    return slot.reserve_taken


def take(campaign: CampaignRow, slot: SlotRow, share: int, units: int) -> None:
    """Gives units out, or, where they are negative, takes them back."""
    if share == Share.PUBLIC:
        slot.taken += units
        campaign.left -= units
    elif share == Share.ASSISTED:
        slot.assisted_taken += units
        campaign.assisted_left -= units
    else:
        slot.reserve_taken += units
        campaign.reserve_left -= units


def left_in_campaign(campaign: CampaignRow, share: int) -> int:
    """Units that a share may still give out, over all slots."""
    if share == Share.PUBLIC:
        return campaign.left
    if share == Share.ASSISTED:
        return campaign.assisted_left
    return campaign.reserve_left


def stock(campaign: CampaignRow, slot: SlotRow, share: int, units: int) -> None:
    """Puts more units into a share, or, where they are negative, takes some out."""
    if share == Share.PUBLIC:
        slot.quota += units
        campaign.left += units
    elif share == Share.ASSISTED:
        slot.assisted_quota += units
        campaign.assisted_left += units
    else:
        slot.reserve_quota += units
        campaign.reserve_left += units


def absorb(campaign: CampaignRow, slot: SlotRow, share: int, units: int) -> None:
    """Units that came back to a share are taken out of it as far as the pharmacy has not got them."""
    gone = units if slot.withdrawn == 1 else min(units, slot.to_withdraw)
    slot.to_withdraw -= min(gone, slot.to_withdraw)
    stock(campaign, slot, share, -gone)
    campaign.quota -= gone
