-- A campaign's definition, chunk by chunk until it is sealed, and its rules where they are changed after that
-- (services/domain/rules/definition.py).

-- Digits as bits: {0, 3} is 9.
local function digit_mask(digits)
  local mask = 0
  for _, digit in ipairs(digits) do
    if math.floor(mask / 2 ^ digit) % 2 == 0 then mask = mask + 2 ^ digit end
  end
  return mask
end

local function demands_of(rules)
  local asks = (rules.household_max or 0) > 0 or rules.cool_down or (rules.entitled or 0) > 0 or #(rules.stagger or {}) > 0
  return asks and 1 or 0
end

-- The days on which only some may book; none of them begins before `from_ms`.
local function stagger_of(rules, from_ms)
  local days = {}
  for i, day in ipairs(rules.stagger or {}) do
    days[i] = {math.max(day.from_ms, from_ms), day.to_ms, digit_mask(day.digits)}
  end
  return days
end

function RULES.define_campaign(command)
  local before = get(K.c .. command.campaign)
  if before and before[CAMPAIGN.phase] ~= PHASE.DRAFT then
    return refused(REASON.ALREADY_DEFINED, before[CAMPAIGN.revision])
  end
  local no = head[HEAD.campaigns] + 1
  head[HEAD.campaigns] = no
  local rules = command.rules or {}
  put(K.c .. command.campaign, {
    no, command.revision, command.region, PHASE.DRAFT, command.units_max, command.pharmacies, command.slots,
    0, 0, 0, 0, 0, 0, 0, 0, 0,
    rules.household_max or 0, rules.cool_down and 1 or 0, rules.entitled or 0, 0, stagger_of(rules, 0),
    rules.assisted_per_mille or 0, rules.reserve_per_mille or 0, 0, 0, 0, rules.waiting_per_mille or 0, 0, 0, 0, 0,
    demands_of(rules), 0, 0, command.delete_ms or 0, 0,
  })
  put(K.n .. text[no], command.campaign)
  put(K.x .. text[no], command.definition)
  return done(FACT.DEFINED, no)
end

function RULES.add_pharmacies(command)
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

function RULES.add_slots(command)
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
    local assisted = math.floor(slot.units * row[CAMPAIGN.assisted_per_mille] / 1000)
    local reserve = math.floor(slot.units * row[CAMPAIGN.reserve_per_mille] / 1000)
    local public = slot.units - assisted - reserve
    local slot_row = whole({
      slot.pharmacy, slot.day, slot.starts_ms, slot.ends_ms, slot.day_from_ms, slot.day_to_ms, public, 0,
      0, '',
    })
    slot_row[SLOT.cool_until_ms] = slot.cool_until_ms or 0
    slot_row[SLOT.grace_until_ms] = slot.pick_until_ms or 0
    slot_row[SLOT.release_ms] = slot.release_ms or 0
    slot_row[SLOT.assisted_quota] = assisted
    slot_row[SLOT.reserve_quota] = reserve
    slot_row[SLOT.change_before_ms] = slot.change_until_ms or 0
    slot_row[SLOT.promote_until_ms] = slot.promote_until_ms or 0
    put(K.s .. text[no] .. ':' .. slot.id, slot_row)
    if slot_row[SLOT.cool_until_ms] > 0 then row[CAMPAIGN.cooling_slots] = row[CAMPAIGN.cooling_slots] + 1 end
    if slot_row[SLOT.promote_until_ms] > 0 then row[CAMPAIGN.promoting_slots] = row[CAMPAIGN.promoting_slots] + 1 end
    row[CAMPAIGN.quota] = row[CAMPAIGN.quota] + slot.units
    row[CAMPAIGN.left] = row[CAMPAIGN.left] + public
    row[CAMPAIGN.assisted_left] = row[CAMPAIGN.assisted_left] + assisted
    row[CAMPAIGN.reserve_left] = row[CAMPAIGN.reserve_left] + reserve
  end
  put(K.x .. text[no] .. ':s:' .. command.first, ids)
  row[CAMPAIGN.slots_seen] = row[CAMPAIGN.slots_seen] + #ids
  put(K.c .. command.campaign, row)
  return done(FACT.SLOTS_ADDED, row[CAMPAIGN.slots_seen])
end

function RULES.add_entitled(command)
  local row = get(K.c .. command.campaign)
  if not row or row[CAMPAIGN.phase] ~= PHASE.DRAFT or row[CAMPAIGN.revision] ~= command.revision then
    return refused(REASON.UNKNOWN_CAMPAIGN)
  end
  if command.first ~= row[CAMPAIGN.entitled_seen] then
    return refused(REASON.DEFINITION_INCOMPLETE, row[CAMPAIGN.entitled_seen])
  end
  for _, resident in ipairs(command.residents) do put(K.e .. text[row[CAMPAIGN.no]] .. ':' .. resident, 1) end
  row[CAMPAIGN.entitled_seen] = row[CAMPAIGN.entitled_seen] + #command.residents
  put(K.c .. command.campaign, row)
  return done(FACT.ENTITLED_ADDED, row[CAMPAIGN.entitled_seen])
end

function RULES.seal_definition(command)
  local row = get(K.c .. command.campaign)
  if not row then return refused(REASON.UNKNOWN_CAMPAIGN) end
  if row[CAMPAIGN.phase] ~= PHASE.DRAFT or row[CAMPAIGN.revision] ~= command.revision then
    return refused(REASON.ALREADY_DEFINED, row[CAMPAIGN.revision])
  end
  if row[CAMPAIGN.pharmacies_seen] ~= row[CAMPAIGN.pharmacies] or row[CAMPAIGN.slots_seen] ~= row[CAMPAIGN.slots]
    or row[CAMPAIGN.entitled_seen] ~= row[CAMPAIGN.entitled] then
    return refused(REASON.DEFINITION_INCOMPLETE, row[CAMPAIGN.slots_seen])
  end
  row[CAMPAIGN.phase] = PHASE.SCHEDULED
  put(K.c .. command.campaign, row)
  local catalogue = get(K.cat) or {}
  catalogue[#catalogue + 1] = command.campaign
  put(K.cat, catalogue)
  return done(FACT.SEALED, row[CAMPAIGN.quota])
end

-- The name of a rule among these that cannot be changed to this any more.
local function fixed_rule(row, rules)
  if (rules.entitled or 0) ~= row[CAMPAIGN.entitled] then return 'entitled' end
  if (rules.assisted_per_mille or 0) ~= row[CAMPAIGN.assisted_per_mille] then return 'assisted_per_mille' end
  if (rules.reserve_per_mille or 0) ~= row[CAMPAIGN.reserve_per_mille] then return 'reserve_per_mille' end
  if rules.cool_down and row[CAMPAIGN.cool_down] == 0 and row[CAMPAIGN.cooling_slots] < row[CAMPAIGN.slots] then
    return 'cool_down'
  end
  if (rules.waiting_per_mille or 0) > 0 and row[CAMPAIGN.waiting_per_mille] == 0
    and row[CAMPAIGN.promoting_slots] < row[CAMPAIGN.slots] then
    return 'waiting_per_mille'
  end
  return nil
end

-- Doors that have not read them yet tell nobody's digit. So a campaign that begins to stagger does so a little later.
function RULES.change_rules(command)
  local key = K.c .. command.campaign
  local row = get(key)
  if not row or row[CAMPAIGN.phase] == PHASE.DRAFT then return refused(REASON.UNKNOWN_CAMPAIGN) end
  if row[CAMPAIGN.revision] ~= command.before then return refused(REASON.REVISION_CHANGED, row[CAMPAIGN.revision]) end
  local rules = command.rules or {}
  local fixed = fixed_rule(row, rules)
  if fixed then return refused(REASON.NOT_IN_MID_CAMPAIGN, fixed) end
  local staggers_from_ms = #row[CAMPAIGN.stagger] == 0 and head[HEAD.now_ms] + RULES_KNOWN_MS or 0
  row[CAMPAIGN.revision] = command.revision
  row[CAMPAIGN.units_max] = command.units_max
  row[CAMPAIGN.household_max] = rules.household_max or 0
  row[CAMPAIGN.cool_down] = rules.cool_down and 1 or 0
  row[CAMPAIGN.stagger] = stagger_of(rules, staggers_from_ms)
  row[CAMPAIGN.waiting_per_mille] = rules.waiting_per_mille or 0
  row[CAMPAIGN.demands] = demands_of(rules)
  put(key, row)
  put(K.x .. text[row[CAMPAIGN.no]], command.definition)
  return done(FACT.RULES_CHANGED)
end
