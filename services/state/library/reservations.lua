-- What happens to a reservation: cancelled, picked up, and taken back (services/domain/rules/reservations.py).

local function picked_up_when_and_where(row)
  local history = row[RESERVATION.history] or {}
  for i = #history, 1, -1 do
    local fact = history[i][ACTION.fact]
    if fact == FACT.PICKED_UP or fact == FACT.PICKED_UP_LATE then
      return history[i][ACTION.at_ms], history[i][ACTION.actor]
    end
  end
  return 0, ''
end

-- Whether a cancelled reservation was given back, or lost to a withdrawal.
local function why_cancelled(row)
  return row[RESERVATION.reason] == REASON.SLOT_WITHDRAWN and REASON.SLOT_WITHDRAWN or REASON.CANCELLED
end

local function on_reservation(rule)
  return function(command)
    local key = K.r .. command.pass_no
    local row = get(key)
    if not row then return refused(REASON.UNKNOWN_RESERVATION) end
    local history = row[RESERVATION.history] or {}
    local terminal, refusals = command.terminal or '', 0
    for i = 1, #history do
      local action = history[i]
      if action[ACTION.id] == command.id then return repeated({action[ACTION.fact], action[ACTION.reason]}) end
      if action[ACTION.fact] == FACT.REFUSED and action[ACTION.actor] == terminal then refusals = refusals + 1 end
    end
    if refusals >= MAX_REFUSED_ACTIONS or #history >= MAX_ACTIONS then return refused(REASON.TOO_MANY_TRIES) end
    if row[RESERVATION.state] == RESERVATION_STATE.REJECTED then
      return refused(REASON.NOT_CONFIRMED, row[RESERVATION.reason])
    end
    local facts
    if terminal ~= '' and not is_paired(terminal) then
      facts = refused(REASON.UNKNOWN_TERMINAL)
    else
      facts = rule(command, row)
    end
    local fact = facts[1]
    local reason = fact[1] == FACT.REFUSED and fact[2] or 0
    history[#history + 1] = {command.id, fact[1], reason, head[HEAD.now_ms], terminal}
    row[RESERVATION.history] = history
    put(key, row)
    return facts
  end
end

-- The units go back to their share, or out of the waiting list. Where the slot withdraws places they are gone. The caller
-- puts campaign and slot.
local function give_back(campaign, slot, row)
  if row[RESERVATION.state] == RESERVATION_STATE.WAITLISTED then
    slot[SLOT.waiting] = slot[SLOT.waiting] - row[RESERVATION.units]
  else
    take(campaign, slot, row[RESERVATION.share], -row[RESERVATION.units])
    absorb(campaign, slot, row[RESERVATION.share], row[RESERVATION.units])
  end
  units_came_free(row[RESERVATION.no], row[RESERVATION.slot], slot)
end

RULES.cancel = on_reservation(function(command, row)
  if row[RESERVATION.state] == RESERVATION_STATE.PICKED_UP then
    return refused(REASON.ALREADY_PICKED_UP, picked_up_when_and_where(row))
  end
  if row[RESERVATION.state] == RESERVATION_STATE.CANCELLED then return refused(why_cancelled(row)) end
  if row[RESERVATION.state] == RESERVATION_STATE.EXPIRED then return refused(REASON.EXPIRED) end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  local slot_key = K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot]
  local slot = get_slot(slot_key)
  local terminal = command.terminal or ''
  if terminal ~= '' and not is_desk_of(campaign, terminal) then
    return refused(REASON.OTHER_PHARMACY, slot[SLOT.pharmacy])
  end
  give_back(campaign, slot, row)
  row[RESERVATION.state] = RESERVATION_STATE.CANCELLED
  campaign[CAMPAIGN.cancelled] = campaign[CAMPAIGN.cancelled] + 1
  free_person(campaign, row)
  put(slot_key, slot)
  put(K.c .. name, campaign)
  count_household(campaign, row, -1)
  if head[HEAD.now_ms] < slot[SLOT.starts_ms] then end_cool_down(campaign, row, command.pass_no) end
  return done(FACT.CANCELLED, name, row[RESERVATION.slot], row[RESERVATION.units])
end)

RULES.change_slot = on_reservation(function(command, row)
  local state = row[RESERVATION.state]
  if state ~= RESERVATION_STATE.CONFIRMED and state ~= RESERVATION_STATE.WAITLISTED then
    return refused(REASON.NOT_CONFIRMED, state)
  end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  local prefix = K.s .. text[row[RESERVATION.no]] .. ':'
  local old_name = row[RESERVATION.slot]
  local old, new = get_slot(prefix .. old_name), get_slot(prefix .. command.slot)
  local now_ms = head[HEAD.now_ms]
  local terminal = command.terminal or ''
  if terminal ~= '' and not is_desk_of(campaign, terminal) then
    return refused(REASON.OTHER_PHARMACY, old[SLOT.pharmacy])
  end
  if not new then return refused(REASON.UNKNOWN_SLOT) end
  if command.slot == old_name then return refused(REASON.SAME_SLOT) end
  if now_ms >= change_until_ms(old) then return refused(REASON.TOO_LATE_TO_CHANGE) end
  if campaign[CAMPAIGN.phase] == PHASE.PAUSED then return refused(REASON.PAUSED) end
  local reason, left = why_not_slot(campaign, new, now_ms, row[RESERVATION.share], row[RESERVATION.units])
  if reason then return refused(reason, left) end
  give_back(campaign, old, row)
  put(prefix .. old_name, old)
  take(campaign, new, row[RESERVATION.share], row[RESERVATION.units])
  row[RESERVATION.state] = RESERVATION_STATE.CONFIRMED
  row[RESERVATION.slot] = command.slot
  confirm(campaign, new, row, command.pass_no)
  put(prefix .. command.slot, new)
  put(K.c .. name, campaign)
  return done(FACT.SLOT_CHANGED, name, old_name, command.slot, row[RESERVATION.units], row[RESERVATION.ordinal])
end)

RULES.pick_up = on_reservation(function(command, row)
  if row[RESERVATION.state] == RESERVATION_STATE.PICKED_UP then
    return refused(REASON.ALREADY_PICKED_UP, picked_up_when_and_where(row))
  end
  if row[RESERVATION.state] == RESERVATION_STATE.CANCELLED then return refused(why_cancelled(row)) end
  if row[RESERVATION.state] == RESERVATION_STATE.EXPIRED then return refused(REASON.EXPIRED) end
  if row[RESERVATION.state] == RESERVATION_STATE.WAITLISTED then return refused(REASON.NOT_CONFIRMED, 0) end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  local slot_key = K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot]
  local slot = get_slot(slot_key)
  local terminal = get(K.t .. command.terminal)
  if terminal[TERMINAL.pharmacy] ~= slot[SLOT.pharmacy] or terminal[TERMINAL.region] ~= campaign[CAMPAIGN.region] then
    return refused(REASON.OTHER_PHARMACY, slot[SLOT.pharmacy])
  end
  local now_ms = head[HEAD.now_ms]
  if now_ms < slot[SLOT.day_from_ms] or now_ms >= pick_until_ms(slot) then
    return refused(REASON.WRONG_TIME, slot[SLOT.starts_ms], slot[SLOT.ends_ms])
  end
  row[RESERVATION.state] = RESERVATION_STATE.PICKED_UP
  slot[SLOT.picked_up] = slot[SLOT.picked_up] + row[RESERVATION.units]
  put(slot_key, slot)
  campaign[CAMPAIGN.picked_up] = campaign[CAMPAIGN.picked_up] + 1
  put(K.c .. name, campaign)
  return done(FACT.PICKED_UP, name, row[RESERVATION.slot], row[RESERVATION.units])
end)

RULES.undo_pick_up = on_reservation(function(command, row)
  if row[RESERVATION.state] ~= RESERVATION_STATE.PICKED_UP then return refused(REASON.NOT_PICKED_UP) end
  local at_ms, terminal = picked_up_when_and_where(row)
  if terminal ~= command.terminal then return refused(REASON.OTHER_TERMINAL) end
  if head[HEAD.now_ms] - at_ms > UNDO_WITHIN_MS then return refused(REASON.UNDO_TOO_LATE) end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  local slot_key = K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot]
  local slot = get_slot(slot_key)
  row[RESERVATION.state] = RESERVATION_STATE.CONFIRMED
  slot[SLOT.picked_up] = slot[SLOT.picked_up] - row[RESERVATION.units]
  put(slot_key, slot)
  campaign[CAMPAIGN.picked_up] = campaign[CAMPAIGN.picked_up] - 1
  put(K.c .. name, campaign)
  return done(FACT.PICK_UP_UNDONE, name, row[RESERVATION.slot], row[RESERVATION.units])
end)
