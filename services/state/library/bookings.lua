-- Who gets what, and every reason against it (services/domain/rules/bookings.py).

local function people_of(campaign, booking)
  if booking[BOOKING.phone_pseudonym] == '' then return 0 end
  return get(K.h .. text[campaign[CAMPAIGN.no]] .. ':' .. booking[BOOKING.phone_pseudonym]) or 0
end

-- On a day that is not listed everybody may come.
local function may_come_now(campaign, digit, now_ms)
  for _, day in ipairs(campaign[CAMPAIGN.stagger]) do
    if day[1] <= now_ms and now_ms < day[2] then
      return digit >= 0 and math.floor(day[3] / 2 ^ digit) % 2 == 1
    end
  end
  return true
end

local function why_not_now(campaign, person, booking)
  local phase = campaign[CAMPAIGN.phase]
  if phase == PHASE.CLOSED and not has_precedence(person) then return REASON.CAMPAIGN_CLOSED end
  if phase == PHASE.SCHEDULED then return REASON.NOT_OPEN end
  if phase == PHASE.PAUSED then return REASON.PAUSED end
  if booking[BOOKING.units] > campaign[CAMPAIGN.units_max] then return REASON.UNITS_OVER_LIMIT end
  return nil
end

local function why_not_somebody(campaign, person, booking, now_ms)
  if campaign[CAMPAIGN.demands] == 0 then
    return person[PERSON.live] ~= '' and REASON.ALREADY_RESERVED or nil
  end
  if campaign[CAMPAIGN.entitled] > 0 and not get(K.e .. text[campaign[CAMPAIGN.no]] .. ':' .. booking[BOOKING.resident]) then
    return REASON.NOT_ELIGIBLE
  end
  if not has_precedence(person) and not may_come_now(campaign, booking[BOOKING.digit], now_ms) then return REASON.WRONG_DAY end
  if person[PERSON.live] ~= '' then return REASON.ALREADY_RESERVED end
  if campaign[CAMPAIGN.household_max] > 0 and people_of(campaign, booking) >= campaign[CAMPAIGN.household_max] then
    return REASON.HOUSEHOLD_LIMIT
  end
  if campaign[CAMPAIGN.cool_down] == 1 and person[PERSON.cool_until_ms] > now_ms then return REASON.COOLING_DOWN end
  return nil
end

local function why_not_slot(campaign, slot, now_ms, share, units)
  if now_ms >= slot[SLOT.ends_ms] then return REASON.SLOT_OVER, 0 end
  if slot[SLOT.withdrawn] == 1 then return REASON.SLOT_WITHDRAWN, 0 end
  local left = units_left(slot, share)
  if share == SHARE.PUBLIC and (slot[SLOT.waiting] or 0) > 0 then left = 0 end  -- nobody takes units past those who wait
  if left >= units then return nil, 0 end
  if left_in_campaign(campaign, share) == 0 then return REASON.SOLD_OUT, 0 end
  return REASON.SLOT_FULL, left
end

local function why_not(campaign, slot, person, share, booking, now_ms)
  local reason = why_not_now(campaign, person, booking) or why_not_somebody(campaign, person, booking, now_ms)
  if reason == REASON.COOLING_DOWN then
    return reason, math.floor(person[PERSON.cool_until_ms] / 60000)
  end
  if reason then return reason, 0 end
  return why_not_slot(campaign, slot, now_ms, share, booking[BOOKING.units])
end

-- Who has precedence books from the reserve while that has enough, and once the campaign is closed from nowhere else; a
-- desk from the assisted share while that has enough. And then like everybody.
local function share_for(campaign, slot, person, terminal, units)
  if has_precedence(person)
    and (campaign[CAMPAIGN.phase] == PHASE.CLOSED or units_left(slot, SHARE.RESERVE) >= units) then
    return SHARE.RESERVE
  end
  if terminal ~= '' and units_left(slot, SHARE.ASSISTED) >= units then return SHARE.ASSISTED end
  return SHARE.PUBLIC
end

-- What a confirmation brings: its ordinal, and its cool-down. The caller puts row, slot and campaign.
local function confirm(campaign, slot, row, pass_no)
  row[RESERVATION.ordinal] = enrol(campaign, slot, row, pass_no)
  start_cool_down(campaign, slot, row, pass_no)
  use_precedence(campaign, row[RESERVATION.resident])
end

-- Keys of many parts are made once for a booking, where it is read ahead. Another draft in the same batch may bring
-- another number and another region: the keys are good for the number that they were made for.
local function name_keys(booking, campaign)
  local no = text[campaign[CAMPAIGN.no]]
  booking[BOOKING.named_for] = no
  booking[BOOKING.slot_key] = K.s .. no .. ':' .. booking[BOOKING.slot]
  booking[BOOKING.person_key] = person_key(campaign, booking[BOOKING.resident])
end

local function reserve(booking)
  local pass_no, units = booking[BOOKING.pass_no], booking[BOOKING.units]
  local key = K.r .. pass_no
  local before = get(key)
  if before then
    if before[RESERVATION.digest] ~= booking[BOOKING.digest] then return refused(REASON.IDEMPOTENCY_KEY_REUSED) end
    return repeated({before[RESERVATION.state], before[RESERVATION.reason], before[RESERVATION.left]})
  end
  local campaign_key = K.c .. booking[BOOKING.campaign]
  local campaign = get(campaign_key)
  if not campaign or campaign[CAMPAIGN.phase] == PHASE.DRAFT then return refused(REASON.UNKNOWN_CAMPAIGN) end
  -- Who had one in it is forgotten, so "one per resident" could not hold.
  if is_past_deletion(campaign) then return refused(REASON.CAMPAIGN_CLOSED) end
  local no = campaign[CAMPAIGN.no]
  if booking[BOOKING.named_for] ~= text[no] then name_keys(booking, campaign) end
  local slot_key, key_of_person = booking[BOOKING.slot_key], booking[BOOKING.person_key]
  local slot = get(slot_key)
  if not slot then return refused(REASON.UNKNOWN_SLOT) end
  local person = person_in(campaign, booking[BOOKING.resident], key_of_person)
  if person[PERSON.refusals] >= MAX_REFUSALS then return refused(REASON.TOO_MANY_TRIES) end
  local terminal, share = booking[BOOKING.terminal], SHARE.PUBLIC
  if terminal ~= '' and not is_desk_of(campaign, terminal) then return refused(REASON.UNKNOWN_TERMINAL) end
  local ticket = booking[BOOKING.ticket]
  if ticket ~= '' then
    local against = why_not_ticket(campaign, ticket)
    if against then return refused(against) end
  end
  if terminal ~= '' or has_precedence(person) then share = share_for(campaign, whole(slot), person, terminal, units) end

  local now_ms = head[HEAD.now_ms]
  local reason, left = why_not(campaign, slot, person, share, booking, now_ms)
  local waits = (reason == REASON.SOLD_OUT or reason == REASON.SLOT_FULL) and share == SHARE.PUBLIC
    and campaign[CAMPAIGN.waiting_per_mille] > 0 and may_wait(campaign, whole(slot), now_ms, units)
  if reason and not waits then
    put(key, {
      RESERVATION_STATE.REJECTED, no, booking[BOOKING.slot], units, now_ms, booking[BOOKING.digest], reason, left,
    })
    person[PERSON.refusals] = person[PERSON.refusals] + 1
    put(key_of_person, person)
    campaign[CAMPAIGN.rejected] = campaign[CAMPAIGN.rejected] + 1
    put(campaign_key, campaign)
    return {{FACT.REJECTED, reason, left, share == SHARE.RESERVE and share or nil}}
  end

  local phone = campaign[CAMPAIGN.household_max] > 0 and booking[BOOKING.phone_pseudonym] or ''
  local row = {
    RESERVATION_STATE.CONFIRMED, no, booking[BOOKING.slot], units, now_ms, booking[BOOKING.digest], 0, 0,
    booking[BOOKING.resident], 0, booking[BOOKING.last4_hash], share, phone,
  }
  if phone ~= '' then count_household(campaign, row, 1) end
  if ticket ~= '' then use_ticket(campaign, ticket) end
  person[PERSON.live] = pass_no
  put(key_of_person, person)
  local facts
  if waits then
    row[RESERVATION.state] = RESERVATION_STATE.WAITLISTED
    remember(row, FACT.WAITLISTED)
    campaign[CAMPAIGN.waitlisted] = campaign[CAMPAIGN.waitlisted] + 1
    facts = done(FACT.WAITLISTED, join(campaign, slot, row, pass_no))
  else
    take(campaign, slot, share, units)
    campaign[CAMPAIGN.confirmed] = campaign[CAMPAIGN.confirmed] + 1
    confirm(campaign, slot, row, pass_no)
    facts = {{FACT.CONFIRMED, row[RESERVATION.ordinal], share ~= SHARE.PUBLIC and share or nil}}
  end
  put(key, row)
  put(slot_key, slot)
  put(campaign_key, campaign)
  return facts
end
