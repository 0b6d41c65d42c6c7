-- A campaign's waiting room: the few numbers that keep everybody's place, and how many a ticket lets in
-- (services/domain/rules/waiting_room.py).

local VALVES = {off = VALVE.OFF, on = VALVE.ON, automatic = VALVE.AUTOMATIC}

-- Whether the opening is behind us; a pause keeps places.
local function has_opened(campaign)
  return campaign[CAMPAIGN.phase] == PHASE.OPEN or campaign[CAMPAIGN.phase] == PHASE.PAUSED
end

-- All places anew. Where the campaign is open already, nobody was there before.
local function begin_round(room, campaign, commitment)
  local opened = has_opened(campaign)
  room[ROOM.round] = room[ROOM.round] + 1
  room[ROOM.active] = 1
  room[ROOM.commitment] = opened and '' or commitment
  room[ROOM.seed] = ''
  room[ROOM.early] = 0
  room[ROOM.frozen] = opened and 1 or 0
  room[ROOM.late] = 0
  room[ROOM.serving] = 0
end

-- The campaign, the key of its room, and the room, where people wait in the round that the command is about.
local function room_of(command)
  local campaign = sealed_campaign(command)
  if not campaign then return nil end
  local key = K.q .. text[campaign[CAMPAIGN.no]]
  local room = get(key)
  if not room or room[ROOM.active] == 0 or room[ROOM.round] ~= command.round then return campaign, key, nil end
  return campaign, key, room
end

function RULES.set_valve(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local key = K.q .. text[campaign[CAMPAIGN.no]]
  local room = get(key) or {0, 0, 0, 0, 0, '', '', 0, 0, 0, 0}
  room[ROOM.valve] = VALVES[command.valve]
  room[ROOM.outflow_per_s] = command.outflow_per_s or 0
  room[ROOM.factor_per_mille] = command.factor_per_mille or 1500
  if room[ROOM.valve] == VALVE.OFF then
    room[ROOM.active] = 0
  elseif room[ROOM.valve] == VALVE.ON and room[ROOM.active] == 0 and has_opened(campaign) then
    begin_round(room, campaign, '')
  end
  put(key, room)
  return done(FACT.VALVE_SET, room[ROOM.round], room[ROOM.active])
end

function RULES.prepare_room(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local key = K.q .. text[campaign[CAMPAIGN.no]]
  local room = get(key)
  if not room or room[ROOM.valve] == VALVE.OFF then return refused(REASON.NO_WAITING_ROOM) end
  if has_opened(campaign) and room[ROOM.active] == 1 then
    return refused(REASON.WRONG_PHASE, campaign[CAMPAIGN.phase])
  end
  begin_round(room, campaign, command.commitment)
  put(key, room)
  return done(FACT.ROOM_PREPARED, room[ROOM.round])
end

function RULES.count_room(command)
  local _, key, room = room_of(command)
  if not room or room[ROOM.frozen] == 1 then return refused(REASON.NO_WAITING_ROOM) end
  room[ROOM.early] = math.max(room[ROOM.early], command.people)
  put(key, room)
  return done(FACT.ROOM_COUNTED, room[ROOM.early])
end

function RULES.freeze_room(command)
  local campaign, key, room = room_of(command)
  if not room or room[ROOM.frozen] == 1 then return refused(REASON.NO_WAITING_ROOM) end
  if not has_opened(campaign) then return refused(REASON.WRONG_PHASE, campaign[CAMPAIGN.phase]) end
  room[ROOM.early] = math.max(room[ROOM.early], command.people)
  room[ROOM.seed] = command.seed
  room[ROOM.frozen] = 1
  put(key, room)
  return done(FACT.ROOM_FROZEN, room[ROOM.early])
end

function RULES.lease_numbers(command)
  local campaign, key, room = room_of(command)
  if not room then return refused(REASON.NO_WAITING_ROOM) end
  if not has_opened(campaign) then return refused(REASON.WRONG_PHASE, campaign[CAMPAIGN.phase]) end
  local first = room[ROOM.late]
  room[ROOM.late] = first + command.size
  put(key, room)
  return done(FACT.NUMBERS_LEASED, first, command.size)
end

function RULES.admit(command)
  local _, key, room = room_of(command)
  if not room or room[ROOM.frozen] == 0 then return refused(REASON.NO_WAITING_ROOM) end
  room[ROOM.serving] = math.max(room[ROOM.serving], math.min(command.up_to, room[ROOM.early] + room[ROOM.late]))
  put(key, room)
  return done(FACT.ADMITTED, room[ROOM.serving])
end

function RULES.close_room(command)
  local _, key, room = room_of(command)
  if not room then return refused(REASON.NO_WAITING_ROOM) end
  room[ROOM.active] = 0
  put(key, room)
  return done(FACT.ROOM_CLOSED)
end

-- The key under which a ticket's people are counted, and whether it is another's than the one's who books.
local function ticket_key(campaign, ticket)
  local is_of_another = string.sub(ticket, 1, 1) == '+'
  return K.h .. text[campaign[CAMPAIGN.no]] .. ':' .. (is_of_another and string.sub(ticket, 2) or ticket), is_of_another
end

-- What stands against another's ticket: its own resident comes first, and then as many as a household has.
local function why_not_ticket(campaign, ticket)
  local key, is_of_another = ticket_key(campaign, ticket)
  if not is_of_another then return nil end
  local people = get(key) or 0
  if people == 0 then return REASON.TICKET_INVALID end
  return people >= campaign[CAMPAIGN.household_max] and REASON.TICKET_USED_UP or nil
end

-- One person more whom it let in; its own resident counts once, however often they book.
local function use_ticket(campaign, ticket)
  local key, is_of_another = ticket_key(campaign, ticket)
  local people = get(key) or 0
  if people == 0 or is_of_another then put(key, people + 1) end
end
