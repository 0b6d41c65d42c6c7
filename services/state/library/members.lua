-- Who has a reservation: the sheets of a pharmacy's day, households, terminals (services/domain/rules/members.py).

local function is_paired(terminal)
  local row = get(K.t .. terminal)
  return row ~= nil and row[TERMINAL.state] == TERMINAL_STATE.PAIRED
end

-- Whether a terminal may act now, and stands in the campaign's region.
local function is_desk_of(campaign, terminal)
  return is_paired(terminal) and get(K.t .. terminal)[TERMINAL.region] == campaign[CAMPAIGN.region]
end

-- Nobody asks how many people a phone acts for once the deletion day has come.
local function count_household(campaign, row, people)
  local phone = row[RESERVATION.phone] or ''
  if phone ~= '' and not is_past_deletion(campaign) then
    local key = K.h .. text[campaign[CAMPAIGN.no]] .. ':' .. phone
    put(key, (get(key) or 0) + people)
  end
end

local function sheets_key(campaign, slot)
  return K.m .. campaign[CAMPAIGN.region] .. ':' .. slot[SLOT.pharmacy] .. ':' .. text[slot[SLOT.day]]
end

-- The pass numbers on a sheet, in their order; of an open one they stand in the row of its slot.
local function pass_nos_on(sheet)
  local joined = sheet[SHEET.pass_nos]
  if joined == '' then
    joined = get(K.s .. text[sheet[SHEET.no]] .. ':' .. sheet[SHEET.slot])[SLOT.on_sheet]
  end
  local pass_nos = {}
  for i = 1, #joined, PASS_NO_CHARS do pass_nos[#pass_nos + 1] = string.sub(joined, i, i + PASS_NO_CHARS - 1) end
  return pass_nos
end

-- Reads ahead, in two MGETs, who has the reservations under these pass numbers.
local function read_who_has(pass_nos, region)
  for _, pass_no in ipairs(pass_nos) do want(K.r .. pass_no) end
  fetch()
  for _, pass_no in ipairs(pass_nos) do
    local row = get(K.r .. pass_no)
    if row then
      want(K.s .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.slot])
      want(K.p .. region .. ':' .. row[RESERVATION.resident])
    end
  end
  fetch()
end

-- Writes a pass number on the slot's sheet; its ordinal in pharmacy and day. The caller puts the slot.
local function enrol(campaign, slot, row, pass_no)
  local written = slot[SLOT.on_sheet]
  if written == '' then
    local sheets = sheets_key(campaign, slot)
    local sheet = get(sheets) or 0
    slot[SLOT.sheet] = sheet
    put(sheets, sheet + 1)
    put(sheets .. ':' .. sheet, {row[RESERVATION.no], row[RESERVATION.slot], ''})
  end
  local line = #written / PASS_NO_CHARS
  written = written .. pass_no
  if line + 1 == SHEET_LINES then
    local key = sheets_key(campaign, slot) .. ':' .. slot[SLOT.sheet]
    put(key, {row[RESERVATION.no], row[RESERVATION.slot], written})
    written = ''
  end
  slot[SLOT.on_sheet] = written
  return slot[SLOT.sheet] * SHEET_LINES + line
end

-- Something happened to a reservation that nobody asked for just now: no command has this empty id.
local function remember(row, fact, reason)
  local history = row[RESERVATION.history] or {}
  history[#history + 1] = {'', fact, reason or 0, head[HEAD.now_ms], ''}
  row[RESERVATION.history] = history
end
