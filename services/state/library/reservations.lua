-- Who gets what (services/domain/rules/reservations.py).

local function why_not(campaign, slot, person, command)
  local phase = campaign[CAMPAIGN.phase]
  if phase == PHASE.CLOSED then return REASON.CAMPAIGN_CLOSED, 0 end
  if phase == PHASE.SCHEDULED then return REASON.NOT_OPEN, 0 end
  if phase == PHASE.PAUSED then return REASON.PAUSED, 0 end
  if command.units > campaign[CAMPAIGN.units_max] then return REASON.UNITS_OVER_LIMIT, 0 end
  if person[PERSON.live] ~= '' then return REASON.ALREADY_RESERVED, 0 end
  if campaign[CAMPAIGN.left] == 0 then return REASON.SOLD_OUT, 0 end
  local left = slot[SLOT.quota] - slot[SLOT.taken]
  if left < command.units then return REASON.SLOT_FULL, left end
  return nil, 0
end

local function members_key(slot)
  return K.m .. slot[SLOT.pharmacy] .. ':' .. text[slot[SLOT.day]]
end

local function enrol(slot, pass_no)
  local key = members_key(slot)
  local members = get(key) or {0, ''}
  local ordinal = members[MEMBERS.count]
  members[MEMBERS.count] = ordinal + 1
  members[MEMBERS.tail] = members[MEMBERS.tail] .. pass_no
  if members[MEMBERS.count] % MEMBERS_PER_CHUNK == 0 then
    put(key .. ':' .. (members[MEMBERS.count] / MEMBERS_PER_CHUNK - 1), members[MEMBERS.tail])
    members[MEMBERS.tail] = ''
  end
  put(key, members)
  return ordinal
end

local function reserve(command)
  local key = K.r .. command.pass_no
  local before = get(key)
  if before then
    if before[RESERVATION.digest] ~= command.digest then return refused(REASON.IDEMPOTENCY_KEY_REUSED) end
    return repeated({before[RESERVATION.state], before[RESERVATION.reason], before[RESERVATION.left]})
  end
  local campaign_key = K.c .. command.campaign
  local campaign = get(campaign_key)
  if not campaign or campaign[CAMPAIGN.phase] == PHASE.DRAFT then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local no = campaign[CAMPAIGN.no]
  local slot_key = K.s .. text[no] .. ':' .. command.slot
  local slot = get(slot_key)
  if not slot then return refused(REASON.UNKNOWN_SLOT) end
  local person_key = K.p .. text[no] .. ':' .. command.resident
  local person = get(person_key) or {'', 0}
  if person[PERSON.refusals] >= MAX_REFUSALS then return refused(REASON.TOO_MANY_TRIES) end

  local now = get(K.head)[HEAD.now_ms]
  local reason, left = why_not(campaign, slot, person, command)
  if reason then
    put(key, {RESERVATION_STATE.REJECTED, no, command.slot, command.units, now, command.digest, reason, left})
    person[PERSON.refusals] = person[PERSON.refusals] + 1
    put(person_key, person)
    campaign[CAMPAIGN.rejected] = campaign[CAMPAIGN.rejected] + 1
    put(campaign_key, campaign)
    return done(FACT.REJECTED, reason, left)
  end

  slot[SLOT.taken] = slot[SLOT.taken] + command.units
  put(slot_key, slot)
  campaign[CAMPAIGN.left] = campaign[CAMPAIGN.left] - command.units
  campaign[CAMPAIGN.confirmed] = campaign[CAMPAIGN.confirmed] + 1
  put(campaign_key, campaign)
  local ordinal = enrol(slot, command.pass_no)
  put(key, {
    RESERVATION_STATE.CONFIRMED, no, command.slot, command.units, now, command.digest, 0, 0,
    command.resident, ordinal, command.last4_hash,
  })
  person[PERSON.live] = command.pass_no
  put(person_key, person)
  return done(FACT.CONFIRMED, ordinal)
end

local function is_paired(terminal)
  local row = get(K.t .. terminal)
  return row ~= nil and row[TERMINAL.state] == TERMINAL_STATE.PAIRED
end

local function picked_up_when_and_where(row)
  local history = row[RESERVATION.history] or {}
  for i = #history, 1, -1 do
    if history[i][ACTION.fact] == FACT.PICKED_UP then return history[i][ACTION.at_ms], history[i][ACTION.actor] end
  end
  return 0, ''
end

local function on_reservation(rule)
  return function(command)
    local key = K.r .. command.pass_no
    local row = get(key)
    if not row then return refused(REASON.UNKNOWN_RESERVATION) end
    local history = row[RESERVATION.history] or {}
    for i = 1, #history do
      if history[i][ACTION.id] == command.id then
        return repeated({history[i][ACTION.fact], history[i][ACTION.reason]})
      end
    end
    if #history >= MAX_ACTIONS then return refused(REASON.TOO_MANY_TRIES) end
    if row[RESERVATION.state] == RESERVATION_STATE.REJECTED then
      return refused(REASON.NOT_CONFIRMED, row[RESERVATION.reason])
    end
    local terminal = command.terminal or ''
    local facts
    if terminal ~= '' and not is_paired(terminal) then
      facts = refused(REASON.UNKNOWN_TERMINAL)
    else
      facts = rule(command, row)
    end
    local fact = facts[1]
    local reason = fact[1] == FACT.REFUSED and fact[2] or 0
    history[#history + 1] = {command.id, fact[1], reason, get(K.head)[HEAD.now_ms], terminal}
    row[RESERVATION.history] = history
    put(key, row)
    return facts
  end
end

local cancel = on_reservation(function(_, row)
  if row[RESERVATION.state] == RESERVATION_STATE.PICKED_UP then
    return refused(REASON.ALREADY_PICKED_UP, picked_up_when_and_where(row))
  end
  if row[RESERVATION.state] == RESERVATION_STATE.CANCELLED then return refused(REASON.CANCELLED) end
  local no, units = row[RESERVATION.no], row[RESERVATION.units]
  local name = get(K.n .. text[no])
  local campaign = get(K.c .. name)
  local slot_key = K.s .. text[no] .. ':' .. row[RESERVATION.slot]
  local slot = get(slot_key)
  local person_key = K.p .. text[no] .. ':' .. row[RESERVATION.resident]
  local person = get(person_key)
  row[RESERVATION.state] = RESERVATION_STATE.CANCELLED
  slot[SLOT.taken] = slot[SLOT.taken] - units
  put(slot_key, slot)
  campaign[CAMPAIGN.left] = campaign[CAMPAIGN.left] + units
  campaign[CAMPAIGN.cancelled] = campaign[CAMPAIGN.cancelled] + 1
  put(K.c .. name, campaign)
  person[PERSON.live] = ''
  put(person_key, person)
  return done(FACT.CANCELLED, name, row[RESERVATION.slot], units)
end)

local pick_up = on_reservation(function(command, row)
  if row[RESERVATION.state] == RESERVATION_STATE.PICKED_UP then
    return refused(REASON.ALREADY_PICKED_UP, picked_up_when_and_where(row))
  end
  if row[RESERVATION.state] == RESERVATION_STATE.CANCELLED then return refused(REASON.CANCELLED) end
  local slot = get(K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot])
  local terminal = get(K.t .. command.terminal)
  if terminal[TERMINAL.pharmacy] ~= slot[SLOT.pharmacy] then
    return refused(REASON.OTHER_PHARMACY, slot[SLOT.pharmacy])
  end
  local now = get(K.head)[HEAD.now_ms]
  if now < slot[SLOT.day_from_ms] or now >= math.max(slot[SLOT.day_to_ms], slot[SLOT.ends_ms]) then
    return refused(REASON.WRONG_TIME, slot[SLOT.starts_ms], slot[SLOT.ends_ms])
  end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  row[RESERVATION.state] = RESERVATION_STATE.PICKED_UP
  campaign[CAMPAIGN.picked_up] = campaign[CAMPAIGN.picked_up] + 1
  put(K.c .. name, campaign)
  return done(FACT.PICKED_UP, name, row[RESERVATION.slot], row[RESERVATION.units])
end)

local undo_pick_up = on_reservation(function(command, row)
  if row[RESERVATION.state] ~= RESERVATION_STATE.PICKED_UP then return refused(REASON.NOT_PICKED_UP) end
  local at_ms, terminal = picked_up_when_and_where(row)
  if terminal ~= command.terminal then return refused(REASON.OTHER_TERMINAL) end
  if get(K.head)[HEAD.now_ms] - at_ms > UNDO_WITHIN_MS then return refused(REASON.UNDO_TOO_LATE) end
  local name = get(K.n .. text[row[RESERVATION.no]])
  local campaign = get(K.c .. name)
  row[RESERVATION.state] = RESERVATION_STATE.CONFIRMED
  campaign[CAMPAIGN.picked_up] = campaign[CAMPAIGN.picked_up] - 1
  put(K.c .. name, campaign)
  return done(FACT.PICK_UP_UNDONE, name, row[RESERVATION.slot], row[RESERVATION.units])
end)
