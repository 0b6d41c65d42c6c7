-- Stock and terminals of pharmacies (services/domain/rules/pharmacies.py).

local function change_quota(command)
  local campaign_key = K.c .. command.campaign
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local slot_key = K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. command.slot
  local slot = get(slot_key)
  if not slot then return refused(REASON.UNKNOWN_SLOT) end
  local terminal = command.terminal or ''
  if terminal ~= '' then
    if not is_paired(terminal) then return refused(REASON.UNKNOWN_TERMINAL) end
    if get(K.t .. terminal)[TERMINAL.pharmacy] ~= slot[SLOT.pharmacy] then
      return refused(REASON.OTHER_PHARMACY, slot[SLOT.pharmacy])
    end
  end
  if slot[SLOT.quota] + command.change < slot[SLOT.taken] then
    return refused(REASON.BELOW_CONFIRMED, slot[SLOT.taken])
  end
  slot[SLOT.quota] = slot[SLOT.quota] + command.change
  put(slot_key, slot)
  campaign[CAMPAIGN.quota] = campaign[CAMPAIGN.quota] + command.change
  campaign[CAMPAIGN.left] = campaign[CAMPAIGN.left] + command.change
  put(campaign_key, campaign)
  return done(FACT.QUOTA_CHANGED, slot[SLOT.quota], slot[SLOT.quota] - slot[SLOT.taken])
end

local function invite_terminal(command)
  local key = K.t .. command.terminal
  local code_key = K.tc .. command.code_digest
  if get(key) or get(code_key) then return refused(REASON.TERMINAL_EXISTS) end
  put(key, {TERMINAL_STATE.INVITED, command.pharmacy, '', get(K.head)[HEAD.now_ms]})
  put(code_key, {command.terminal, command.expires_ms, 0})
  local terminals = get(K.tl) or {}
  terminals[#terminals + 1] = command.terminal
  put(K.tl, terminals)
  return done(FACT.TERMINAL_INVITED)
end

local function pair_terminal(command)
  local code_key = K.tc .. command.code_digest
  local code = get(code_key)
  if not code then return refused(REASON.UNKNOWN_PAIRING_CODE) end
  if code[CODE.used] == 1 then return refused(REASON.PAIRING_CODE_USED) end
  local key = K.t .. code[CODE.terminal]
  local terminal = get(key)
  local now = get(K.head)[HEAD.now_ms]
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

local function revoke_terminal(command)
  local key = K.t .. command.terminal
  local terminal = get(key)
  if not terminal then return refused(REASON.UNKNOWN_TERMINAL) end
  terminal[TERMINAL.state] = TERMINAL_STATE.REVOKED
  terminal[TERMINAL.since_ms] = get(K.head)[HEAD.now_ms]
  put(key, terminal)
  return done(FACT.TERMINAL_REVOKED)
end
