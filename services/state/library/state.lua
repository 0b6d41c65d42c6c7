-- The rows of one partition during one call: read in few MGETs, decided on as local tables, written in one MSET.
--
-- keys:   '{pNN}:' .. logical key, as services/domain/rows.py lists them; nothing outside the partition's hash tag
-- values: msgpack, a row as an array; FIELDS (HEAD, CAMPAIGN, SLOT, …) come from the Python classes at load time
--
-- `redis.call` and `cmsgpack` do not exist while a library loads, so begin() binds them. What stands in the upvalues
-- belongs to one call: begin() makes all of it anew, because upvalues would otherwise carry state from call to call.

local call, pack, unpack_row
local tag                -- '{pNN}:'
local raws               -- logical key -> bytes, or false where Redis has none
local rows               -- logical key -> decoded row, or false
local order, is_changed  -- keys to write, in the order of their first change

local function begin(hash_tag)
  call, pack, unpack_row = redis.call, cmsgpack.pack, cmsgpack.unpack
  tag = hash_tag
  raws, rows, order, is_changed = {}, {}, {}, {}
end

-- Remembers to read `key` with the next fetch, once.
local function want(list, key)
  if raws[key] == nil then
    raws[key] = false
    list[#list + 1] = key
  end
end

-- Reads all of `list` in one MGET. A key that never exists is among them: while a hash slot migrates, a single key that
-- has moved reads as missing, but an MGET with a key that is on neither side is refused by both, and nothing is decided.
local function fetch(list)
  local names = {tag .. 'never'}
  for i = 1, #list do names[i + 1] = tag .. list[i] end
  local found = call('MGET', unpack(names))
  for i = 1, #list do raws[list[i]] = found[i + 1] end
end

-- The row, or nil. What nobody fetched is read now.
local function get(key)
  local row = rows[key]
  if row == nil then
    local raw = raws[key]
    if raw == nil then
      fetch({key})
      raw = raws[key]
    end
    row = raw and unpack_row(raw) or false
    rows[key] = row
  end
  return row or nil
end

-- Keeps the row; it is written when everything is decided.
local function put(key, row)
  rows[key] = row
  if not is_changed[key] then
    is_changed[key] = true
    order[#order + 1] = key
  end
end

-- Forgets the row.
local function remove(key)
  put(key, false)
end

-- One MSET of everything that changed: there is no rollback in Redis, so nothing is written before all is decided.
local function write()
  local pairs_to_set, gone = {}, {}
  for i = 1, #order do
    local key = order[i]
    if rows[key] then
      pairs_to_set[#pairs_to_set + 1] = tag .. key
      pairs_to_set[#pairs_to_set + 1] = pack(rows[key])
    else
      gone[#gone + 1] = tag .. key
    end
  end
  call('MSET', unpack(pairs_to_set))
  if #gone > 0 then call('UNLINK', unpack(gone)) end
end
