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

local function stock(campaign, slot, share, units)
  slot[QUOTA[share]] = slot[QUOTA[share]] + units
  campaign[LEFT[share]] = campaign[LEFT[share]] + units
end
