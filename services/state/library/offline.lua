-- Hand-outs that happened without a network, told afterwards (services/domain/rules/offline.py).

local HAD_A_PASS = {
  [RESERVATION_STATE.CONFIRMED] = true, [RESERVATION_STATE.CANCELLED] = true,
  [RESERVATION_STATE.PICKED_UP] = true, [RESERVATION_STATE.EXPIRED] = true,
}

-- The hand-out that stands: the last one, unless it was taken back.
local function handed_out(row)
  local history = row[RESERVATION.history] or {}
  for i = #history, 1, -1 do
    local fact = history[i][ACTION.fact]
    if fact == FACT.PICK_UP_UNDONE then return nil end
    if fact == FACT.PICKED_UP or fact == FACT.PICKED_UP_LATE then return history[i] end
  end
  return nil
end

local function why_late(campaign, slot, row, terminal, at_ms)
  if row[RESERVATION.state] == RESERVATION_STATE.CANCELLED then return why_cancelled(row) end
  if row[RESERVATION.state] == RESERVATION_STATE.EXPIRED then return REASON.EXPIRED end
  if terminal[TERMINAL.pharmacy] ~= slot[SLOT.pharmacy] or terminal[TERMINAL.region] ~= campaign[CAMPAIGN.region] then
    return REASON.OTHER_PHARMACY
  end
  if at_ms < slot[SLOT.day_from_ms] or at_ms >= pick_until_ms(slot) then return REASON.WRONG_TIME end
  return nil
end

-- The units are gone. Who had given theirs back has them after all, and waits like everybody who got some.
local function hand_out(campaign, slot, row, pass_no)
  if row[RESERVATION.state] == RESERVATION_STATE.CONFIRMED then
    row[RESERVATION.state] = RESERVATION_STATE.PICKED_UP
    slot[SLOT.picked_up] = slot[SLOT.picked_up] + row[RESERVATION.units]
    campaign[CAMPAIGN.picked_up] = campaign[CAMPAIGN.picked_up] + 1
    return
  end
  slot[SLOT.beside] = slot[SLOT.beside] + row[RESERVATION.units]
  if row[RESERVATION.reason] == REASON.SLOT_WITHDRAWN then use_precedence(campaign, row[RESERVATION.resident]) end
  if person_of(campaign, row[RESERVATION.resident])[PERSON.cool_until_ms] < slot[SLOT.cool_until_ms] then
    start_cool_down(campaign, slot, row, pass_no)
  end
end

function RULES.record_pick_up(command)
  if not is_paired(command.terminal) then return refused(REASON.UNKNOWN_TERMINAL) end
  local pass_no = command.pass_no or ''
  local row = get(K.r .. pass_no)
  if not row or not HAD_A_PASS[row[RESERVATION.state]] then return done(FACT.PICK_UP_UNPROVED) end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  local slot_key = K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot]
  local slot = get_slot(slot_key)
  local terminal = get(K.t .. command.terminal)
  -- A terminal's clock may be wrong, but nothing was handed out before it was booked, and nothing will be.
  local at_ms = math.max(row[RESERVATION.at_ms], math.min(command.at_ms, head[HEAD.now_ms]))
  local units = row[RESERVATION.units]
  local before = handed_out(row)
  if before and before[ACTION.id] == command.id then
    return repeated({before[ACTION.fact], name, row[RESERVATION.slot], units})
  end
  local facts, late = nil, 0
  if before then
    facts = done(FACT.PICK_UP_CONFLICT, name, row[RESERVATION.slot], units, before[ACTION.at_ms], before[ACTION.actor])
    slot[SLOT.beside] = slot[SLOT.beside] + units
    campaign[CAMPAIGN.conflicts] = campaign[CAMPAIGN.conflicts] + 1
  else
    late = why_late(campaign, slot, row, terminal, at_ms) or 0
    if late == 0 then
      facts = done(FACT.PICKED_UP, name, row[RESERVATION.slot], units)
    else
      facts = done(FACT.PICKED_UP_LATE, name, row[RESERVATION.slot], units, late)
      campaign[CAMPAIGN.picked_up_late] = campaign[CAMPAIGN.picked_up_late] + 1
    end
    hand_out(campaign, slot, row, pass_no)
  end
  local history = row[RESERVATION.history] or {}
  if not before or #history < MAX_ACTIONS then
    history[#history + 1] = {command.id, facts[1][1], late, at_ms, command.terminal}
    row[RESERVATION.history] = history
  end
  put(K.r .. pass_no, row)
  put(slot_key, slot)
  put(K.c .. name, campaign)
  return facts
end
