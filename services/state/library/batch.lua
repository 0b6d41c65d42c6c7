-- What the commands of a batch are likely to need, read in three MGETs.

-- First what the commands name.
local function want_named(from, commands)
  want(K.head)
  want(K.queue)
  for no = chunk_number(from), chunk_number(from + #commands - 1) do want(K.d .. no) end
  for i = 1, #commands do
    local command = commands[i]
    if command.pass_no then want(K.r .. command.pass_no) end
    if command.campaign then want(K.c .. command.campaign) end
    if command.terminal and command.terminal ~= '' then want(K.t .. command.terminal) end
    if REMEMBERED[command.type] then want(K.o .. command.id) end
  end
end

-- What the rules of a campaign ask beyond the person: only where it has them.
local function want_of_rules(campaign, no, command)
  if campaign[CAMPAIGN.entitled] > 0 then want(K.e .. no .. ':' .. command.resident) end
  if campaign[CAMPAIGN.cool_down] == 1 then want(cool_key(campaign, command.resident)) end
  if campaign[CAMPAIGN.household_max] > 0 and command.phone_pseudonym then
    want(K.h .. no .. ':' .. command.phone_pseudonym)
  end
end

-- Then what that points to.
local function want_pointed_to(commands)
  local campaign, no, row  -- of the reservation before: a rush is about one campaign
  for i = 1, #commands do
    local command = commands[i]
    if command.type == 'reserve' then
      if command.campaign ~= campaign then
        campaign = command.campaign
        row = get(K.c .. campaign)
        no = row and text[row[CAMPAIGN.no]]
      end
      if no then
        name_keys(command, no)
        want(command.slot_key)
        want(command.person_key)
        if row[CAMPAIGN.demands] == 1 then want_of_rules(row, no, command) end
      end
    elseif command.pass_no then
      local row = get(K.r .. command.pass_no)
      if row and row[RESERVATION.resident] then
        local number = text[row[RESERVATION.no]]
        want(K.n .. number)
        want(K.s .. number .. ':' .. row[RESERVATION.slot])
        want(K.p .. number .. ':' .. row[RESERVATION.resident])
      end
    end
  end
end

-- Then the lists of pharmacies and days that bookings would join.
local function want_lists(commands)
  local campaign, row  -- of the reservation before, as above
  for i = 1, #commands do
    local command = commands[i]
    local slot = command.slot_key and get(command.slot_key)
    if slot then
      if command.campaign ~= campaign then
        campaign = command.campaign
        row = get(K.c .. campaign)
      end
      command.members_key = members_key(row, slot)
      want(command.members_key)
    end
  end
end

-- What is missing here, because a command of this batch makes it or for any other reason, is read when it is asked for.
local function read_ahead(from, commands)
  want_named(from, commands)
  fetch()
  want_pointed_to(commands)
  fetch()
  want_lists(commands)
  fetch()
end
