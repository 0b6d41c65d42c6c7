-- Unfinished work: what a record leaves to the next ones (services/domain/rules/unfinished.py). A queue is named by the key
-- of its row and the prefix of its entries.

-- Somebody has to see to this.
local function add_work(queue, entries, entry)
  local work = get(queue) or {0, 0}
  put(entries .. text[work[WORK.next]], entry)
  work[WORK.next] = work[WORK.next] + 1
  put(queue, work)
end

-- The entry whose turn it is, or nil. The queue was begun.
local function first_work(queue, entries)
  local work = get(queue)
  if work[WORK.first] == work[WORK.next] then return nil end
  return get(entries .. text[work[WORK.first]])
end

-- It has come farther, and is not done.
local function put_first_work(queue, entries, entry)
  put(entries .. text[get(queue)[WORK.first]], entry)
end

-- It is done.
local function drop_first_work(queue, entries)
  local work = get(queue)
  remove(entries .. text[work[WORK.first]])
  work[WORK.first] = work[WORK.first] + 1
  put(queue, work)
end
