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

local function members_key(campaign, slot)
  return K.m .. campaign[CAMPAIGN.region] .. ':' .. slot[SLOT.pharmacy] .. ':' .. text[slot[SLOT.day]]
end

local function enrol(key, pass_no)
  local members = get(key) or {0, ''}
  local ordinal = members[MEMBERS.count]
  members[MEMBERS.count] = ordinal + 1
  members[MEMBERS.tail] = members[MEMBERS.tail] .. pass_no
  if members[MEMBERS.count] % MEMBERS_PER_CHUNK == 0 then
    put(key .. ':' .. (members[MEMBERS.count] / MEMBERS_PER_CHUNK - 1), members[MEMBERS.tail])
    members[MEMBERS.tail] = ''
  end
  put(key, members)
  return ordinal
end

-- `key` is that of the list, where somebody has made it already. What follows when a reservation is confirmed in a slot: its ordinal, and its cool-down. The caller puts the row.
local function confirm(campaign, slot, row, pass_no, key)
  row[RESERVATION.ordinal] = enrol(key or members_key(campaign, slot), pass_no)
  if slot[SLOT.cool_until_ms] > 0 then
    put(cool_key(campaign, row[RESERVATION.resident]), {slot[SLOT.cool_until_ms], pass_no})
  end
end

-- The resident has no live reservation any more, and may book again.
local function free_person(row)
  local key = K.p .. text[row[RESERVATION.no]] .. ':' .. row[RESERVATION.resident]
  local person = get(key)
  person[PERSON.live] = ''
  put(key, person)
end
