-- Recorded decisions: 64 offsets a chunk, the time of the last one first. They answer those who wait for their place, and
-- are published from if the process that folded them dies. They decide nothing.

local chunk_no, chunk, is_kept  -- the chunk at hand: offsets come in order

local function forget_chunk()
  chunk_no, chunk, is_kept = nil, nil, false
end

local function chunk_number(offset)
  return (offset - offset % DECISIONS_PER_CHUNK) / DECISIONS_PER_CHUNK
end

local function chunk_of(offset)
  local no = chunk_number(offset)
  if no ~= chunk_no then chunk_no, chunk, is_kept = no, get(K.d .. no), false end
  return chunk
end

local function record(offset, now_ms, facts)
  if not chunk_of(offset) then chunk = {0} end
  if not is_kept then
    put(K.d .. chunk_no, chunk)
    is_kept = true
  end
  chunk[1] = now_ms
  chunk[offset % DECISIONS_PER_CHUNK + 2] = facts
end

-- The facts of an offset, or false where they are gone.
local function recorded(offset)
  local found = chunk_of(offset)
  return found and found[offset % DECISIONS_PER_CHUNK + 2] or false
end

-- When the last decision of a full chunk was made, or nil where it is gone. Its facts are not decoded: an array of 65
-- begins with three bytes of its own, then comes the time.
local function last_time(no)
  local key = K.d .. no
  if changed[key] then return changed[key][1] end
  local raw = call('MGET', K.never, key)[2]
  if not raw then return nil end
  local _, time = unpack_one(raw, 3)
  return time
end

-- Keys of chunks whose events are all acknowledged and which have been readable long enough. Bounded per call.
local function trimmable()
  local keys = {}
  while #keys < MAX_TRIM_PER_CALL do
    local no = head[HEAD.trimmed]
    if (no + 1) * DECISIONS_PER_CHUNK > head[HEAD.published] then break end
    if (no + 1) * DECISIONS_PER_CHUNK > head[HEAD.position] then break end
    local time = last_time(no)
    if time and time + DECISIONS_READABLE_MS > head[HEAD.now_ms] then break end
    keys[#keys + 1] = K.d .. no
    head[HEAD.trimmed] = no + 1
  end
  return keys
end
