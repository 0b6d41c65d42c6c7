-- The units of a slot, in shares (services/domain/rules/buckets.py).

local SHARES = {public = SHARE.PUBLIC, assisted = SHARE.ASSISTED, reserve = SHARE.RESERVE}
local QUOTA = {SLOT.quota, SLOT.assisted_quota, SLOT.reserve_quota}  -- by the number of the share
local TAKEN = {SLOT.taken, SLOT.assisted_taken, SLOT.reserve_taken}
local LEFT = {CAMPAIGN.left, CAMPAIGN.assisted_left, CAMPAIGN.reserve_left}

local function units_left(slot, share)
  return slot[QUOTA[share]] - slot[TAKEN[share]]
end

local function units_taken(slot, share)
  return slot[TAKEN[share]]
end

local function take(campaign, slot, share, units)
  slot[TAKEN[share]] = slot[TAKEN[share]] + units
  campaign[LEFT[share]] = campaign[LEFT[share]] - units
end

local function left_in_campaign(campaign, share)
  return campaign[LEFT[share]]
end

local function stock(campaign, slot, share, units)
  slot[QUOTA[share]] = slot[QUOTA[share]] + units
  campaign[LEFT[share]] = campaign[LEFT[share]] + units
end

-- Units that came back to a share are taken out of it as far as the pharmacy has not got them.
local function absorb(campaign, slot, share, units)
  local gone = slot[SLOT.withdrawn] == 1 and units or math.min(units, slot[SLOT.to_withdraw])
  slot[SLOT.to_withdraw] = slot[SLOT.to_withdraw] - math.min(gone, slot[SLOT.to_withdraw])
  stock(campaign, slot, share, -gone)
  campaign[CAMPAIGN.quota] = campaign[CAMPAIGN.quota] - gone
end
