-- Who has a reservation: lists of a pharmacy's day, the one live reservation, households, cool-downs, terminals
-- (services/domain/rules/members.py).

local function is_paired(terminal)
  local row = get(K.t .. terminal)
  return row ~= nil and row[TERMINAL.state] == TERMINAL_STATE.PAIRED
end

-- Whether a terminal may act now, and stands in the campaign's region.
local function is_desk_of(campaign, terminal)
  return is_paired(terminal) and get(K.t .. terminal)[TERMINAL.region] == campaign[CAMPAIGN.region]
end

-- Until when somebody has to wait, in all campaigns of a region.
local function cool_key(campaign, resident)
  return K.y .. campaign[CAMPAIGN.region] .. ':' .. resident
end

local function count_household(campaign, row, people)
  local phone = row[RESERVATION.phone] or ''
  if phone ~= '' then
    local key = K.h .. text[campaign[CAMPAIGN.no]] .. ':' .. phone
    put(key, (get(key) or 0) + people)
  end
end

local function sheets_key(campaign, slot)
  return K.m .. campaign[CAMPAIGN.region] .. ':' .. slot[SLOT.pharmacy] .. ':' .. text[slot[SLOT.day]]
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

-- Who got some has to wait, across the campaigns of the region.
local function start_cool_down(campaign, slot, row, pass_no)
  local cool_until_ms = slot[SLOT.cool_until_ms] or 0
  if cool_until_ms > 0 then
    put(cool_key(campaign, row[RESERVATION.resident]), {cool_until_ms, pass_no})
  end
end

-- What follows when a reservation is confirmed in a slot: its ordinal, and its cool-down. The caller puts row and slot.
local function confirm(campaign, slot, row, pass_no)
  row[RESERVATION.ordinal] = enrol(campaign, slot, row, pass_no)
  start_cool_down(campaign, slot, row, pass_no)
end

-- Something happened to a reservation that nobody asked for just now: no command has this empty id.
local function remember(row, fact, reason)
  local history = row[RESERVATION.history] or {}
  history[#history + 1] = {'', fact, reason or 0, get(K.head)[HEAD.now_ms], ''}
  row[RESERVATION.history] = history
end

-- The resident has no live reservation any more, and may book again.
local function free_person(row)
  local key = K.p .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.resident]
  local person = get(key)
  person[PERSON.live] = ''
  put(key, person)
end
