-- A campaign's definition, chunk by chunk until it is sealed (services/domain/rules/definition.py).

local function define_campaign(command)
  local before = get(K.c .. command.campaign)
  if before and before[CAMPAIGN.phase] ~= PHASE.DRAFT then
    return refused(REASON.ALREADY_DEFINED, before[CAMPAIGN.revision])
  end
  local head = get(K.head)
  local no = head[HEAD.campaigns] + 1
  head[HEAD.campaigns] = no
  put(K.c .. command.campaign, {
    no, command.revision, command.region, PHASE.DRAFT, command.units_max, command.pharmacies, command.slots,
    0, 0, 0, 0, 0, 0, 0, 0, 0,
  })
  put(K.n .. text[no], command.campaign)
  put(K.x .. text[no], command.definition)
  return done(FACT.DEFINED, no)
end

local function add_pharmacies(command)
  local row = get(K.c .. command.campaign)
  if not row or row[CAMPAIGN.phase] ~= PHASE.DRAFT or row[CAMPAIGN.revision] ~= command.revision then
    return refused(REASON.UNKNOWN_CAMPAIGN)
  end
  if command.first ~= row[CAMPAIGN.pharmacies_seen] then
    return refused(REASON.DEFINITION_INCOMPLETE, row[CAMPAIGN.pharmacies_seen])
  end
  local chunk = {}
  for i, p in ipairs(command.pharmacies) do
    chunk[i] = {p.id, p.name, p.address or '', p.lon_e6 or 0, p.lat_e6 or 0, p.phone or ''}
  end
  put(K.x .. text[row[CAMPAIGN.no]] .. ':p:' .. command.first, chunk)
  row[CAMPAIGN.pharmacies_seen] = row[CAMPAIGN.pharmacies_seen] + #chunk
  put(K.c .. command.campaign, row)
  return done(FACT.PHARMACIES_ADDED, row[CAMPAIGN.pharmacies_seen])
end

local function add_slots(command)
  local row = get(K.c .. command.campaign)
  if not row or row[CAMPAIGN.phase] ~= PHASE.DRAFT or row[CAMPAIGN.revision] ~= command.revision then
    return refused(REASON.UNKNOWN_CAMPAIGN)
  end
  if command.first ~= row[CAMPAIGN.slots_seen] then
    return refused(REASON.DEFINITION_INCOMPLETE, row[CAMPAIGN.slots_seen])
  end
  local no = row[CAMPAIGN.no]
  local ids, seen = {}, {}
  for _, slot in ipairs(command.slots) do want(K.s .. text[no] .. ':' .. slot.id) end
  fetch()
  for i, slot in ipairs(command.slots) do
    if seen[slot.id] or get(K.s .. text[no] .. ':' .. slot.id) then return refused(REASON.MALFORMED) end
    seen[slot.id] = true
    ids[i] = slot.id
  end
  for _, slot in ipairs(command.slots) do
    put(K.s .. text[no] .. ':' .. slot.id, {
      slot.pharmacy, slot.day, slot.starts_ms, slot.ends_ms, slot.day_from_ms, slot.day_to_ms, slot.units, 0,
    })
    row[CAMPAIGN.quota] = row[CAMPAIGN.quota] + slot.units
  end
  put(K.x .. text[no] .. ':s:' .. command.first, ids)
  row[CAMPAIGN.slots_seen] = row[CAMPAIGN.slots_seen] + #ids
  put(K.c .. command.campaign, row)
  return done(FACT.SLOTS_ADDED, row[CAMPAIGN.slots_seen])
end

local function seal_definition(command)
  local row = get(K.c .. command.campaign)
  if not row then return refused(REASON.UNKNOWN_CAMPAIGN) end
  if row[CAMPAIGN.phase] ~= PHASE.DRAFT or row[CAMPAIGN.revision] ~= command.revision then
    return refused(REASON.ALREADY_DEFINED, row[CAMPAIGN.revision])
  end
  if row[CAMPAIGN.pharmacies_seen] ~= row[CAMPAIGN.pharmacies] or row[CAMPAIGN.slots_seen] ~= row[CAMPAIGN.slots] then
    return refused(REASON.DEFINITION_INCOMPLETE, row[CAMPAIGN.slots_seen])
  end
  row[CAMPAIGN.phase] = PHASE.SCHEDULED
  row[CAMPAIGN.left] = row[CAMPAIGN.quota]
  put(K.c .. command.campaign, row)
  local catalogue = get(K.cat) or {}
  catalogue[#catalogue + 1] = command.campaign
  put(K.cat, catalogue)
  return done(FACT.SEALED, row[CAMPAIGN.quota])
end
