-- The fold: applies a batch of commands in log order and moves the position, in one atomic step.
--
-- keys:   one, '{pNN}:head', so that clients can route; everything else has the same hash tag
-- args:   a msgpack array: log, key_check, from, to, published, timestamps, digests (from: first offset; to: one past the
--         last; the two lists have to - from entries); and the commands, one msgpack value after the other (batch.lua)
-- result: one msgpack array: status, position, facts of each offset from `from` on (false where the recorded decision
--         is gone, which means that it was published)
--   'ok'             everything before `position` is decided; that may be less than `to` (bounded work): send the rest
--   'gap'            `from` is past the position: nothing was applied; seek back to `position`
--   'other_log'      Redis holds the state of another log
--   'other_key'      … of a log whose pseudonyms were made with other keys
--   'rules_too_new'  the record at `position` brings rules that this library does not know, or they are in force already
--                    (then no facts are returned: a newer library decided, and has words for them)

local function rules_asked_for(offset, command)
  if command.type == 'adopt_rules' then return command.version end
  if offset == 0 and command.type == 'genesis' then return command.rules end
  return 0
end

local function decide(command)
  if command[BOOKING.next] then return reserve(command) end
  local rule = RULES[command.type]
  if not rule then return refused(REASON.MALFORMED) end
  if not REMEMBERED[command.type] then return rule(command) end
  local key = K.o .. command.id
  local first = get(key)
  if first then return repeated(first[1]) end
  local facts = rule(command)
  -- Of its own: pieces of unfinished work are added to facts. What repeats another command is remembered already.
  if facts[1][1] ~= FACT.REPEATED then put(key, {facts[1]}) end
  return facts
end

local function fold(keys, args)
  begin(string.match(keys[1], '^{p%d+}:'))
  forget_chunk()
  forget_slots()
  local log, key_check, from, to, published, timestamps, digests = unpack(unpack_row(args[1]))
  local commands = commands_in(args[2], to - from)
  read_ahead(from, commands)

  head = get(K.head) or {log, key_check, 0, 0, 0, 0, 0, 0, 0, 0}
  local position = head[HEAD.position]
  if position > 0 and head[HEAD.log] ~= log then return pack({'other_log', position, {}}) end
  if position > 0 and head[HEAD.key_check] ~= key_check then return pack({'other_key', position, {}}) end
  if head[HEAD.rules] > RULES_VERSION then return pack({'rules_too_new', position, {}}) end
  if from > position then return pack({'gap', position, {}}) end

  local status, decisions = 'ok', {}
  for offset = from, math.min(to, position) - 1 do decisions[offset - from + 1] = recorded(offset) end
  for offset = position, to - 1 do
    if changes >= MAX_ROWS_PER_CALL then break end
    local i = offset - from + 1
    local command = commands[i]
    if rules_asked_for(offset, command) > RULES_VERSION then
      status = 'rules_too_new'
      break
    end
    if offset == 0 then head[HEAD.tick_ms] = timestamps[i] end
    local now_ms = math.min(timestamps[i], head[HEAD.tick_ms] + AHEAD_OF_TICK_MS)
    if now_ms > head[HEAD.now_ms] then head[HEAD.now_ms] = now_ms end
    local facts = decide(command)
    if rows[K.queue] then do_a_piece(facts) end
    if rows[K.withdrawal_queue] then withdraw_a_piece(facts) end
    head[HEAD.position] = offset + 1
    head[HEAD.digest] = digests[i]
    record(offset, head[HEAD.now_ms], facts)
    decisions[i] = facts
  end

  if changes > 0 or published > head[HEAD.published] then
    head[HEAD.published] = math.max(head[HEAD.published], published)
    local gone = trimmable()
    cut_slots()
    write()
    if #gone > 0 then call('UNLINK', unpack(gone)) end
  end
  return pack({status, head[HEAD.position], decisions})
end

redis.register_function{function_name = FUNCTION_NAME, callback = fold}
