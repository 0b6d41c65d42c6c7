-- What goes when a campaign's deletion day has come (services/domain/rules/purge.py).

local function purge_row(key)
  if not get(key) then return 0 end
  remove(key)
  return 1
end

-- Under which number the named entitled stand: the campaign's, or one that its definition was begun under.
local function list_no(campaign, command)
  local draft = command.draft or 0
  return get(K.n .. text[draft]) == command.campaign and draft or campaign[CAMPAIGN.no]
end

local function purge_reservation(campaign, pass_no)
  local key = K.r .. pass_no
  local row = get(key)
  if not row or row[RESERVATION.no] ~= campaign[CAMPAIGN.no] then return 0 end
  local state = row[RESERVATION.state]
  if state == RESERVATION_STATE.CONFIRMED or state == RESERVATION_STATE.WAITLISTED then return 0 end
  if row[RESERVATION.resident] then forget_pass(campaign, row[RESERVATION.resident], pass_no) end
  remove(key)
  return 1
end

local function named_sheet(campaign, name)
  return K.m .. campaign[CAMPAIGN.region] .. ':' .. name.pharmacy .. ':' .. text[name.day] .. ':' .. text[name.sheet]
end

-- The pass numbers on a sheet; of an open one they stand in the row of its slot.
local function written_on(sheet)
  if sheet[SHEET.pass_nos] ~= '' then return sheet[SHEET.pass_nos] end
  return get(K.s .. text[sheet[SHEET.no]] .. ':' .. sheet[SHEET.slot])[SLOT.on_sheet]
end

local function purge_sheet(campaign, name)
  local key = named_sheet(campaign, name)
  local sheet = get(key)
  if not sheet or sheet[SHEET.no] ~= campaign[CAMPAIGN.no] then return 0 end
  local pass_nos = written_on(sheet)
  for i = 1, #pass_nos, PASS_NO_CHARS do
    if get(K.r .. string.sub(pass_nos, i, i + PASS_NO_CHARS - 1)) then return 0 end
  end
  if sheet[SHEET.pass_nos] == '' then
    local slot_key = K.s .. text[sheet[SHEET.no]] .. ':' .. sheet[SHEET.slot]
    local slot = get(slot_key)
    slot[SLOT.on_sheet] = ''
    put(slot_key, slot)
  end
  remove(key)
  return 1
end

local function purge_waiting(campaign, name)
  local prefix = text[campaign[CAMPAIGN.no]] .. ':' .. name.slot
  local slot = get_slot(K.s .. prefix)
  if not slot or slot[SLOT.waiting] > 0 or head[HEAD.now_ms] < slot[SLOT.promote_until_ms] then return 0 end
  return purge_row(K.w .. prefix .. ':' .. text[name.chunk])
end

-- Reads in three MGETs what is named, what that points to, and what stands on the sheets.
local function read_named(campaign, command, sheets)
  local no = text[campaign[CAMPAIGN.no]]
  for _, pass_no in ipairs(command.pass_nos or {}) do want(K.r .. pass_no) end
  for _, resident in ipairs(command.residents or {}) do
    want(person_key(campaign, resident))
    want(aside_key(campaign[CAMPAIGN.no], resident))
  end
  for _, phone in ipairs(command.phones or {}) do want(K.h .. no .. ':' .. phone) end
  local list = text[list_no(campaign, command)]
  for _, resident in ipairs(command.entitled or {}) do want(K.e .. list .. ':' .. resident) end
  for _, name in ipairs(sheets) do want(named_sheet(campaign, name)) end
  for _, name in ipairs(command.waiting or {}) do
    want(K.s .. no .. ':' .. name.slot)
    want(K.w .. no .. ':' .. name.slot .. ':' .. text[name.chunk])
  end
  fetch()
  for _, pass_no in ipairs(command.pass_nos or {}) do
    local row = get(K.r .. pass_no)
    if row and row[RESERVATION.resident] then want(person_key(campaign, row[RESERVATION.resident])) end
  end
  for _, resident in ipairs(command.residents or {}) do
    for _, key in ipairs({person_key(campaign, resident), aside_key(campaign[CAMPAIGN.no], resident)}) do
      local person = get(key)
      if person and person[PERSON.live] ~= '' then want(K.r .. person[PERSON.live]) end
    end
  end
  for _, name in ipairs(sheets) do
    local sheet = get(named_sheet(campaign, name))
    if sheet then want(K.s .. text[sheet[SHEET.no]] .. ':' .. sheet[SHEET.slot]) end
  end
  fetch()
  for _, name in ipairs(sheets) do
    local sheet = get(named_sheet(campaign, name))
    local pass_nos = sheet and written_on(sheet) or ''
    for i = 1, #pass_nos, PASS_NO_CHARS do want(K.r .. string.sub(pass_nos, i, i + PASS_NO_CHARS - 1)) end
  end
  fetch()
end

function RULES.purge(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  if not is_past_deletion(campaign) then
    return refused(REASON.TOO_EARLY_TO_PURGE, campaign[CAMPAIGN.delete_ms])
  end
  local sheets = command.sheets or {}
  read_named(campaign, command, sheets)
  local no = text[campaign[CAMPAIGN.no]]
  local reservations, people, phones, entitled, on_sheets, waiting = 0, 0, 0, 0, 0, 0
  for _, pass_no in ipairs(command.pass_nos or {}) do
    reservations = reservations + purge_reservation(campaign, pass_no)
  end
  for _, resident in ipairs(command.residents or {}) do people = people + forget_person(campaign, resident) end
  for _, phone in ipairs(command.phones or {}) do phones = phones + purge_row(K.h .. no .. ':' .. phone) end
  local list = text[list_no(campaign, command)]
  for _, resident in ipairs(command.entitled or {}) do entitled = entitled + purge_row(K.e .. list .. ':' .. resident) end
  for _, name in ipairs(sheets) do on_sheets = on_sheets + purge_sheet(campaign, name) end
  for _, name in ipairs(command.waiting or {}) do waiting = waiting + purge_waiting(campaign, name) end
  put(K.c .. command.campaign, campaign)
  return done(FACT.PURGED, reservations, people, phones, entitled, on_sheets, waiting)
end
