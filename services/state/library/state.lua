-- The rows of one partition during one call: read in few MGETs, decided on as local tables, written in one MSET.
--
-- keys:   K.<kind> .. name, where K.<kind> is '{pNN}:<kind>:'; services/domain/rows.py lists them without the tag
-- values: msgpack, a row as an array; places in it (HEAD.position, SLOT.taken, …) are those of the Python classes
--
-- `redis.call` and `cmsgpack` do not exist while a library loads, so begin() binds them. What stands in the upvalues
-- belongs to one call: begin() makes all of it anew, because upvalues would otherwise carry state from call to call.

local call, pack, unpack_row, unpack_one, unpack_limit
local K                 -- kind -> prefix of its keys, hash tag included
local text              -- number -> its digits: Lua formats a number each time it is joined to a string, which is slow
local head              -- the row of the partition itself: position, time, rules in force
local rows              -- key -> row, or false where Redis has none; nil: nobody has looked
local changed, changes  -- key -> row to write, and how many
local wanted, wants     -- keys to read with the next fetch, and how many

local digits_of = {__index = function(known, number)
  local digits = number .. ''
  known[number] = digits
  return digits
end}

local function begin(tag)
  call, pack = redis.call, cmsgpack.pack
  unpack_row, unpack_one, unpack_limit = cmsgpack.unpack, cmsgpack.unpack_one, cmsgpack.unpack_limit
  K = {head = tag .. 'head', cat = tag .. 'cat', tl = tag .. 'tl', gc = tag .. 'gc', never = tag .. 'never'}
  K.queue, K.withdrawal_queue = tag .. 'work', tag .. 'withdrawals'
  for _, kind in ipairs({
    'c', 'n', 'x', 's', 'p', 'a', 'h', 'e', 'r', 'm', 'q', 'w', 'work', 'withdrawals', 'o', 't', 'tc', 'g', 'gn', 'd',
  }) do
    K[kind] = tag .. kind .. ':'
  end
  text = setmetatable({}, digits_of)
  head, rows, changed, changes = nil, {}, {}, 0
  wanted, wants = {K.never}, 1
end

-- Remembers to read `key` with the next fetch, once.
local function want(key)
  if rows[key] == nil then
    rows[key] = false
    wants = wants + 1
    wanted[wants] = key
  end
end

-- Reads all that is wanted in one MGET. A key that never exists is among them: while a hash slot migrates, a single key
-- that has moved reads as missing, but an MGET with a key that is on neither side is refused by both, and nothing is
-- decided.
local function fetch()
  if wants == 1 then return end
  local found = call('MGET', unpack(wanted, 1, wants))
  for i = 2, wants do
    if found[i] then rows[wanted[i]] = unpack_row(found[i]) end
  end
  wanted, wants = {K.never}, 1
end

-- The row, or nil. What nobody fetched is read now.
local function get(key)
  local row = rows[key]
  if row == nil then
    want(key)
    fetch()
    row = rows[key]
  end
  return row or nil
end

-- Keeps the row; it is written when everything is decided.
local function put(key, row)
  local before = changed[key]
  if before == row then return end
  if before == nil then changes = changes + 1 end
  changed[key], rows[key] = row, row
end

-- Forgets the row.
local function remove(key)
  put(key, false)
end

-- One MSET of everything that changed, the head last: there is no rollback in Redis, so nothing is written before all is
-- decided.
local function write()
  local pairs_to_set, n, gone = {}, 0, {}
  for key, row in pairs(changed) do
    if row then
      pairs_to_set[n + 1] = key
      pairs_to_set[n + 2] = pack(row)
      n = n + 2
    else
      gone[#gone + 1] = key
    end
  end
  pairs_to_set[n + 1] = K.head
  pairs_to_set[n + 2] = pack(head)
  call('MSET', unpack(pairs_to_set, 1, n + 2))
  if #gone > 0 then call('UNLINK', unpack(gone)) end
end
