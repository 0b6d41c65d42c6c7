-- The commands of a batch, and what they are likely to need, read in three MGETs.

-- A booking comes as bare fields (BOOKING), everything else as a map by name: most commands of a rush are bookings, and a
-- table made of fields at once costs half of one that grows. It begins with room for what is made of them. Nothing but a
-- booking has a BOOKING.next.
local function commands_in(raw, count)
  local commands, from = {}, 0
  for i = 1, count do
    local to, command = unpack_limit(raw, 1, from)
    if type(command) ~= 'table' then
      command = {'', '', '', unpack_limit(raw, BOOKING_FIELDS, from)}
      to = command[BOOKING.next]
    end
    commands[i], from = command, to
  end
  return commands
end

-- First what the commands name.
local function want_named(from, commands)
  want(K.head)
  want(K.queue)
  want(K.withdrawal_queue)
  for no = chunk_number(from), chunk_number(from + #commands - 1) do want(K.d .. no) end
  local campaign  -- of the booking before: a rush is about one
  for i = 1, #commands do
    local command = commands[i]
    if command[BOOKING.next] then
      want(K.r .. command[BOOKING.pass_no])
      if command[BOOKING.campaign] ~= campaign then
        campaign = command[BOOKING.campaign]
        want(K.c .. campaign)
      end
      if command[BOOKING.terminal] ~= '' then want(K.t .. command[BOOKING.terminal]) end
    else
      if command.pass_no then want(K.r .. command.pass_no) end
      if command.campaign then want(K.c .. command.campaign) end
      if command.terminal and command.terminal ~= '' then want(K.t .. command.terminal) end
      if REMEMBERED[command.type] then want(K.o .. command.id) end
    end
  end
end

-- What the rules of a campaign ask beyond the person: only where it has them.
local function want_of_rules(campaign, booking)
  local no = booking[BOOKING.named_for]
  if campaign[CAMPAIGN.entitled] > 0 then want(K.e .. no .. ':' .. booking[BOOKING.resident]) end
  if campaign[CAMPAIGN.household_max] > 0 and booking[BOOKING.phone_pseudonym] ~= '' then
    want(K.h .. no .. ':' .. booking[BOOKING.phone_pseudonym])
  end
end

-- Then what that points to.
local function want_pointed_to(commands)
  local campaign, row  -- of the booking before, as above
  for i = 1, #commands do
    local command = commands[i]
    if command[BOOKING.next] then
      if command[BOOKING.campaign] ~= campaign then
        campaign = command[BOOKING.campaign]
        row = get(K.c .. campaign)
      end
      if row then
        name_keys(command, row)
        want(command[BOOKING.slot_key])
        want(command[BOOKING.person_key])
        if row[CAMPAIGN.demands] == 1 then want_of_rules(row, command) end
      end
    elseif command.pass_no then
      local reservation = get(K.r .. command.pass_no)
      if reservation and reservation[RESERVATION.resident] then
        local number = text[reservation[RESERVATION.no]]
        want(K.n .. number)
        want(K.s .. number .. ':' .. reservation[RESERVATION.slot])
      end
    end
  end
end

-- Then, of slots that need a new sheet, how many their pharmacies have; of reservations, who has them.
local function want_of_campaigns(commands)
  local campaign, row  -- of the booking before, as above
  for i = 1, #commands do
    local command = commands[i]
    local slot = command[BOOKING.next] and command[BOOKING.slot_key] ~= '' and get(command[BOOKING.slot_key])
    if slot and slot[SLOT.on_sheet] == '' then
      if command[BOOKING.campaign] ~= campaign then
        campaign = command[BOOKING.campaign]
        row = get(K.c .. campaign)
      end
      want(sheets_key(row, slot))
    end
    local reservation = command.pass_no and get(K.r .. command.pass_no)
    if reservation and reservation[RESERVATION.resident] then
      local name = get(K.n .. text[reservation[RESERVATION.no]])
      want(person_key(get(K.c .. name), reservation[RESERVATION.resident]))
    end
  end
end

-- What is missing here, because a command of this batch makes it or for any other reason, is read when it is asked for.
local function read_ahead(from, commands)
  want_named(from, commands)
  fetch()
  want_pointed_to(commands)
  fetch()
  want_of_campaigns(commands)
  fetch()
end
