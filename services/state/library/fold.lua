-- The fold: applies a batch of commands in log order and moves the position, in one atomic step.
--
-- keys:   one, '{pNN}:head', so that clients can route; everything else has the same hash tag
-- args:   one msgpack array: log, key_check, from, to, published, timestamps, digests, commands
--         (from: first offset; to: one past the last; the three lists have to - from entries)
-- result: one msgpack array: status, position, facts of each offset from `from` on (false where the recorded decision
--         is gone, which means that it was published)
--   'ok'             everything before `position` is decided; that may be less than `to` (bounded work): send the rest
--   'gap'            `from` is past the position: nothing was applied; seek back to `position`
--   'other_log'      Redis holds the state of another log
--   'other_key'      … of a log whose pseudonyms were made with other keys
--   'rules_too_new'  the record at `position` brings rules that this library does not know

local RULES = {
  genesis = genesis, tick = tick, adopt_rules = adopt_rules, assign_region = assign_region,
  define_campaign = define_campaign, add_pharmacies = add_pharmacies, add_slots = add_slots,
  add_entitled = add_entitled,
  seal_definition = seal_definition, open = open_campaign, pause = pause, resume = resume, close = close,
  reserve = reserve, cancel = cancel, pick_up = pick_up, record_pick_up = record_pick_up, undo_pick_up = undo_pick_up,
  change_quota = change_quota, release = release, expire = expire,
  change_slot = change_slot, end_waiting = end_waiting, invite_terminal = invite_terminal, pair_terminal = pair_terminal,
  revoke_terminal = revoke_terminal,
}

local function rules_asked_for(offset, command)
  if command.type == 'adopt_rules' then return command.version end
  if offset == 0 and command.type == 'genesis' then return command.rules end
  return 0
end

local function decide(command)
  local rule = RULES[command.type]
  if not rule then return refused(REASON.MALFORMED) end
  if not REMEMBERED[command.type] then return rule(command) end
  local key = 'o:' .. command.id
  local first = get(key)
  if first then return repeated(first[1]) end
  local facts = rule(command)
  -- Of its own: pieces of unfinished work are added to facts. What repeats another command is remembered already.
  if facts[1][1] ~= FACT.REPEATED then put(key, {facts[1]}) end
  return facts
end

-- Everything that the batch names, what that points to, and the tails of lists: one MGET each, the rest when asked for.
local function read_ahead(from, commands)
  local named = {}
  want(named, 'head')
  want(named, 'work')
  want(named, 'd:' .. math.floor(from / DECISIONS_PER_CHUNK))
  for i = 1, #commands do
    local command = commands[i]
    if command.pass_no then want(named, 'r:' .. command.pass_no) end
    if command.campaign then want(named, 'c:' .. command.campaign) end
    if command.terminal and command.terminal ~= '' then want(named, 't:' .. command.terminal) end
    if REMEMBERED[command.type] then want(named, 'o:' .. command.id) end
  end
  fetch(named)

  local pointed_to, slots = {}, {}
  for i = 1, #commands do
    local command = commands[i]
    if command.type == 'reserve' then
      local campaign = get('c:' .. command.campaign)
      if campaign then
        local slot_key = 's:' .. campaign[CAMPAIGN.no] .. ':' .. command.slot
        slots[#slots + 1] = {slot_key, campaign[CAMPAIGN.region]}
        want(pointed_to, slot_key)
        want(pointed_to, 'p:' .. campaign[CAMPAIGN.no] .. ':' .. command.resident)
        if campaign[CAMPAIGN.entitled] > 0 then
          want(pointed_to, 'e:' .. campaign[CAMPAIGN.no] .. ':' .. command.resident)
        end
        if campaign[CAMPAIGN.cool_down] == 1 then want(pointed_to, cool_key(campaign, command.resident)) end
        if campaign[CAMPAIGN.household_max] > 0 and command.phone_pseudonym then
          want(pointed_to, 'h:' .. campaign[CAMPAIGN.no] .. ':' .. command.phone_pseudonym)
        end
      end
    elseif command.pass_no then
      local row = get('r:' .. command.pass_no)
      if row and row[RESERVATION.resident] then
        want(pointed_to, 'n:' .. row[RESERVATION.no])
        want(pointed_to, 's:' .. row[RESERVATION.no] .. ':' .. row[RESERVATION.slot])
        want(pointed_to, 'p:' .. row[RESERVATION.no] .. ':' .. row[RESERVATION.resident])
      end
    end
  end
  if #pointed_to > 0 then fetch(pointed_to) end

  local tails = {}
  for i = 1, #slots do
    local slot = get(slots[i][1])
    if slot then want(tails, 'm:' .. slots[i][2] .. ':' .. slot[SLOT.pharmacy] .. ':' .. slot[SLOT.day]) end
  end
  if #tails > 0 then fetch(tails) end
end

local function record(offset, now_ms, facts)
  local key = 'd:' .. math.floor(offset / DECISIONS_PER_CHUNK)
  local chunk = get(key) or {0}
  chunk[1] = now_ms
  chunk[offset % DECISIONS_PER_CHUNK + 2] = facts
  put(key, chunk)
end

local function recorded(offset)
  local chunk = get('d:' .. math.floor(offset / DECISIONS_PER_CHUNK))
  return chunk and chunk[offset % DECISIONS_PER_CHUNK + 2] or false
end

-- Chunks of decisions whose events are all acknowledged and which have been readable long enough. Bounded per call.
local function trimmable(head)
  local names = {}
  while #names < MAX_TRIM_PER_CALL do
    local chunk_no = head[HEAD.trimmed]
    if (chunk_no + 1) * DECISIONS_PER_CHUNK > head[HEAD.published] then break end
    if (chunk_no + 1) * DECISIONS_PER_CHUNK > head[HEAD.position] then break end
    local chunk = get('d:' .. chunk_no)
    if chunk and chunk[1] + DECISIONS_READABLE_MS > head[HEAD.now_ms] then break end
    names[#names + 1] = tag .. 'd:' .. chunk_no
    head[HEAD.trimmed] = chunk_no + 1
  end
  return names
end

local function fold(keys, args)
  begin(string.match(keys[1], '^{p%d+}:'))
  local log, key_check, from, to, published, timestamps, digests, commands = unpack(unpack_row(args[1]))
  read_ahead(from, commands)

  local head = get('head') or {log, key_check, 0, 0, 0, 0, 0, 0, 0, 0}
  rows.head = head
  if head[HEAD.position] > 0 and head[HEAD.log] ~= log then return pack({'other_log', head[HEAD.position], {}}) end
  if head[HEAD.position] > 0 and head[HEAD.key_check] ~= key_check then
    return pack({'other_key', head[HEAD.position], {}})
  end
  if from > head[HEAD.position] then return pack({'gap', head[HEAD.position], {}}) end

  local status, decisions = 'ok', {}
  for offset = from, math.min(to, head[HEAD.position]) - 1 do decisions[#decisions + 1] = recorded(offset) end
  for offset = head[HEAD.position], to - 1 do
    if #order >= MAX_ROWS_PER_CALL then break end
    local i = offset - from + 1
    local command = commands[i]
    if rules_asked_for(offset, command) > RULES_VERSION then
      status = 'rules_too_new'
      break
    end
    if offset == 0 then head[HEAD.tick_ms] = timestamps[i] end
    local now_ms = math.max(head[HEAD.now_ms], math.min(timestamps[i], head[HEAD.tick_ms] + AHEAD_OF_TICK_MS))
    head[HEAD.now_ms] = now_ms
    local facts = decide(command)
    do_a_piece(facts)
    head[HEAD.position] = offset + 1
    head[HEAD.digest] = digests[i]
    record(offset, now_ms, facts)
    decisions[#decisions + 1] = facts
  end

  local moved = #order > 0 or published > head[HEAD.published]
  if moved then
    head[HEAD.published] = math.max(head[HEAD.published], published)
    local gone = trimmable(head)
    put('head', head)
    write()
    if #gone > 0 then call('UNLINK', unpack(gone)) end
  end
  return pack({status, head[HEAD.position], decisions})
end

redis.register_function{function_name = FUNCTION_NAME, callback = fold}
