-- Stock and terminals of pharmacies (services/domain/rules/pharmacies.py).

function RULES.change_quota(command)
  local campaign_key = K.c .. command.campaign
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local slot_key = K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. command.slot
  local slot = get_slot(slot_key)
  if not slot then return refused(REASON.UNKNOWN_SLOT) end
  local terminal = command.terminal or ''
  if terminal ~= '' then
    if not is_paired(terminal) then return refused(REASON.UNKNOWN_TERMINAL) end
    local row = get(K.t .. terminal)
    if row[TERMINAL.pharmacy] ~= slot[SLOT.pharmacy] or row[TERMINAL.region] ~= campaign[CAMPAIGN.region] then
      return refused(REASON.OTHER_PHARMACY, slot[SLOT.pharmacy])
    end
  end
  local share = SHARES[command.share or 'public']
  if units_left(slot, share) + command.change < 0 then
    return refused(REASON.BELOW_CONFIRMED, units_taken(slot, share))
  end
  stock(campaign, slot, share, command.change)
  campaign[CAMPAIGN.quota] = campaign[CAMPAIGN.quota] + command.change
  local kept = math.min(math.max(command.change, 0), slot[SLOT.to_withdraw])
  if command.change > 0 then
    slot[SLOT.withdrawn] = 0  -- it was a mistake, or there is something after all
    absorb(campaign, slot, share, command.change)
    units_came_free(campaign[CAMPAIGN.no], command.slot, slot)
  end
  put(slot_key, slot)
  put(campaign_key, campaign)
  local left = units_left(slot, share)
  return done(FACT.QUOTA_CHANGED, units_taken(slot, share) + left, left, command.change, kept > 0 and kept or nil)
end

function RULES.release(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local now_ms = head[HEAD.now_ms]
  local facts = {{FACT.RELEASED, 0}}
  for _, name in ipairs(command.slots) do want(K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. name) end
  fetch()
  for _, name in ipairs(command.slots) do
    local key = K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. name
    local slot = get_slot(key)
    if slot and slot[SLOT.release_ms] > 0 and slot[SLOT.release_ms] <= now_ms then
      local units = units_left(slot, SHARE.ASSISTED)
      if units > 0 then
        stock(campaign, slot, SHARE.ASSISTED, -units)
        stock(campaign, slot, SHARE.PUBLIC, units)
        units_came_free(campaign[CAMPAIGN.no], name, slot)
        put(key, slot)
        facts[1][2] = facts[1][2] + units
        facts[#facts + 1] = {FACT.UNITS_RELEASED, command.campaign, name, units}
      end
    end
  end
  put(K.c .. command.campaign, campaign)
  return facts
end

-- The pass numbers on one sheet of a pharmacy's day, and what they are about is read ahead.
local function pass_nos_on_sheet(command)
  local sheet = get(K.m .. command.region .. ':' .. command.pharmacy .. ':' .. command.day .. ':' .. command.sheet)
  if not sheet then return {} end
  local pass_nos = pass_nos_on(sheet)
  read_who_has(pass_nos, command.region)
  return pass_nos
end

function RULES.expire(command)
  local now_ms = head[HEAD.now_ms]
  local facts = {{FACT.EXPIRY_DONE, 0}}
  for _, pass_no in ipairs(pass_nos_on_sheet(command)) do
    local key = K.r .. pass_no
    local row = get(key)
    if row and row[RESERVATION.state] == RESERVATION_STATE.CONFIRMED then
      local slot_key = K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot]
      local slot = get_slot(slot_key)
      if slot[SLOT.pharmacy] == command.pharmacy and now_ms >= pick_until_ms(slot) then
        local name = get(K.n .. text[row[RESERVATION.no]])
        local campaign = get(K.c .. name)
        give_back(campaign, slot, row)
        row[RESERVATION.state] = RESERVATION_STATE.EXPIRED
        put(key, row)
        free_person(campaign, row)
        slot[SLOT.expired] = slot[SLOT.expired] + row[RESERVATION.units]
        campaign[CAMPAIGN.expired] = campaign[CAMPAIGN.expired] + 1
        count_household(campaign, row, -1)
        put(slot_key, slot)
        put(K.c .. name, campaign)
        facts[#facts + 1] = {FACT.EXPIRED, pass_no, name, row[RESERVATION.slot], row[RESERVATION.units]}
      end
    end
  end
  facts[1][2] = #facts - 1
  return facts
end

function RULES.invite_terminal(command)
  local key = K.t .. command.terminal
  local code_key = K.tc .. command.code_digest
  if get(key) or get(code_key) then return refused(REASON.TERMINAL_EXISTS) end
  put(key, {TERMINAL_STATE.INVITED, command.pharmacy, '', head[HEAD.now_ms], command.region})
  put(code_key, {command.terminal, command.expires_ms, 0})
  local terminals = get(K.tl) or {}
  terminals[#terminals + 1] = command.terminal
  put(K.tl, terminals)
  return done(FACT.TERMINAL_INVITED)
end

function RULES.pair_terminal(command)
  local code_key = K.tc .. command.code_digest
  local code = get(code_key)
  if not code then return refused(REASON.UNKNOWN_PAIRING_CODE) end
  if code[CODE.used] == 1 then return refused(REASON.PAIRING_CODE_USED) end
  local key = K.t .. code[CODE.terminal]
  local terminal = get(key)
  local now = head[HEAD.now_ms]
  if now >= code[CODE.expires_ms] or terminal[TERMINAL.state] ~= TERMINAL_STATE.INVITED then
    return refused(REASON.PAIRING_CODE_EXPIRED)
  end
  code[CODE.used] = 1
  put(code_key, code)
  terminal[TERMINAL.state] = TERMINAL_STATE.PAIRED
  terminal[TERMINAL.token_digest] = command.token_digest
  terminal[TERMINAL.since_ms] = now
  put(key, terminal)
  return done(FACT.TERMINAL_PAIRED, code[CODE.terminal], terminal[TERMINAL.pharmacy])
end

function RULES.revoke_terminal(command)
  local key = K.t .. command.terminal
  local terminal = get(key)
  if not terminal then return refused(REASON.UNKNOWN_TERMINAL) end
  terminal[TERMINAL.state] = TERMINAL_STATE.REVOKED
  terminal[TERMINAL.since_ms] = head[HEAD.now_ms]
  put(key, terminal)
  return done(FACT.TERMINAL_REVOKED)
end
