-- The waiting list of a slot's public share (services/domain/rules/waiting.py).

local function may_wait(campaign, slot, now_ms, units)
  local bound = math.floor(slot[SLOT.quota] * campaign[CAMPAIGN.waiting_per_mille] / 1000)
  return campaign[CAMPAIGN.waiting_per_mille] > 0 and now_ms < slot[SLOT.promote_until_ms]
    and slot[SLOT.waiting] + units <= bound
end

-- Writes an entry at the end; the units that wait before it. The caller puts the slot.
local function join(campaign, slot, row, pass_no)
  local chunk = math.floor(slot[SLOT.waiting_next] / WAITING_PER_CHUNK)
  local key = K.w .. text[campaign[CAMPAIGN.no]] .. ':' .. row[RESERVATION.slot] .. ':' .. text[chunk]
  put(key, (get(key) or '') .. pass_no)
  local before = slot[SLOT.waiting]
  slot[SLOT.waiting_next] = slot[SLOT.waiting_next] + 1
  slot[SLOT.waiting] = before + row[RESERVATION.units]
  return before
end

-- Somebody waiting may be next: the slot joins the queue of unfinished work. The caller puts the slot.
local function units_came_free(no, name, slot)
  if slot[SLOT.waiting] == 0 or slot[SLOT.waiting_work] == 1 then return end
  add_work(K.queue, K.work, {no, name})
  slot[SLOT.waiting_work] = 1
end

-- From waitlisted to confirmed; the ordinal. The caller puts campaign and slot.
local function promote(campaign, slot, row, pass_no)
  take(campaign, slot, SHARE.PUBLIC, row[RESERVATION.units])
  campaign[CAMPAIGN.promoted] = campaign[CAMPAIGN.promoted] + 1
  row[RESERVATION.state] = RESERVATION_STATE.CONFIRMED
  remember(row, FACT.PROMOTED)
  row[RESERVATION.ordinal] = enrol(campaign, slot, row, pass_no)
  if head[HEAD.now_ms] + READABLE_BEFORE_MS < slot[SLOT.starts_ms] then  -- who cannot read it in time need not wait
    start_cool_down(campaign, slot, row, pass_no)
  end
  use_precedence(campaign, row[RESERVATION.resident])
  put(K.r .. pass_no, row)
  return row[RESERVATION.ordinal]
end

-- Nothing came free in time, or ever will: the reservation is refused, and the resident may look elsewhere.
local function end_one(campaign, slot, row, pass_no)
  row[RESERVATION.state] = RESERVATION_STATE.REJECTED
  row[RESERVATION.reason] = slot[SLOT.withdrawn] == 1 and REASON.SLOT_WITHDRAWN or REASON.SLOT_FULL
  remember(row, FACT.WAITING_ENDED, row[RESERVATION.reason])
  put(K.r .. pass_no, row)
  free_person(campaign, row)
  count_household(campaign, row, -1)
end

-- Deals with the next entry of a slot's list; false where there is nothing more to do for now.
local function look_at_next(no, name, facts)
  local slot_key = K.s .. text[no] .. ':' .. name
  local slot = get_slot(slot_key)
  if slot[SLOT.waiting] == 0 then
    slot[SLOT.waiting_work] = 0
    put(slot_key, slot)
    return false
  end
  local chunk_key = K.w .. text[no] .. ':' .. name .. ':' .. math.floor(slot[SLOT.waiting_first] / WAITING_PER_CHUNK)
  local start = slot[SLOT.waiting_first] % WAITING_PER_CHUNK * PASS_NO_CHARS
  local pass_no = string.sub(get(chunk_key), start + 1, start + PASS_NO_CHARS)
  local row = get(K.r .. pass_no)
  if row and row[RESERVATION.state] == RESERVATION_STATE.WAITLISTED and row[RESERVATION.slot] == name then
    local units = row[RESERVATION.units]
    local is_over = slot[SLOT.withdrawn] == 1 or head[HEAD.now_ms] >= slot[SLOT.promote_until_ms]
    if not is_over and units_left(slot, SHARE.PUBLIC) < units then
      slot[SLOT.waiting_work] = 0
      put(slot_key, slot)
      return false
    end
    slot[SLOT.waiting] = slot[SLOT.waiting] - units
    local campaign_name = get(K.n .. text[no])
    local campaign = get(K.c .. campaign_name)
    if is_over then
      end_one(campaign, slot, row, pass_no)
      local why = row[RESERVATION.reason] ~= REASON.SLOT_FULL and row[RESERVATION.reason] or nil
      facts[#facts + 1] = {FACT.WAITING_ENDED, pass_no, campaign_name, name, units, why}
    else
      local ordinal = promote(campaign, slot, row, pass_no)
      facts[#facts + 1] = {FACT.PROMOTED, pass_no, campaign_name, name, units, ordinal}
    end
    put(K.c .. campaign_name, campaign)
  end
  slot[SLOT.waiting_first] = slot[SLOT.waiting_first] + 1
  if slot[SLOT.waiting_first] % WAITING_PER_CHUNK == 0 then remove(chunk_key) end
  put(slot_key, slot)
  return true
end

-- What each record does of the unfinished work, whatever the record itself was.
local function do_a_piece(facts)
  local looked_at = 0
  while looked_at < WAITING_PER_RECORD do
    local entry = first_work(K.queue, K.work)
    if not entry then return end
    looked_at = looked_at + 1
    if not look_at_next(entry[1], entry[2], facts) then drop_first_work(K.queue, K.work) end
  end
end

function RULES.end_waiting(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local now_ms, ending = head[HEAD.now_ms], 0
  for _, name in ipairs(command.slots) do want(K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. name) end
  fetch()
  for _, name in ipairs(command.slots) do
    local key = K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. name
    local slot = get_slot(key)
    if slot and slot[SLOT.waiting] > 0 and slot[SLOT.promote_until_ms] <= now_ms then
      units_came_free(campaign[CAMPAIGN.no], name, slot)
      put(key, slot)
      ending = ending + 1
    end
  end
  return done(FACT.ENDING_WAITING, ending)
end
