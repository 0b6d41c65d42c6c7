-- What the commands of a batch are likely to need, read in three MGETs.

-- First what the commands name.
local function want_named(from, commands)
  want(K.head)
  for no = chunk_number(from), chunk_number(from + #commands - 1) do want(K.d .. no) end
  for i = 1, #commands do
    local command = commands[i]
    if command.pass_no then want(K.r .. command.pass_no) end
    if command.campaign then want(K.c .. command.campaign) end
    if command.terminal and command.terminal ~= '' then want(K.t .. command.terminal) end
    if REMEMBERED[command.type] then want(K.o .. command.id) end
  end
end

-- Then what that points to. Answers the keys of the slots that somebody wants to book.
local function want_pointed_to(commands)
  local slots, count = {}, 0
  local campaign, no  -- of the reservation before: a rush is about one campaign
  for i = 1, #commands do
    local command = commands[i]
    if command.type == 'reserve' then
      if command.campaign ~= campaign then
        campaign = command.campaign
        local row = get(K.c .. campaign)
        no = row and text[row[CAMPAIGN.no]]
      end
      if no then
        count = count + 1
        slots[count] = K.s .. no .. ':' .. command.slot
        want(slots[count])
        want(K.p .. no .. ':' .. command.resident)
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
  return slots
end

-- What is missing here, because a command of this batch makes it or for any other reason, is read when it is asked for.
local function read_ahead(from, commands)
  want_named(from, commands)
  fetch()
  local slots = want_pointed_to(commands)
  fetch()
  for i = 1, #slots do
    local slot = get(slots[i])
    if slot then want(members_key(slot)) end
  end
  fetch()
end
