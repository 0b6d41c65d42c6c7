-- A pharmacy got less than was promised (services/domain/rules/withdrawal.py).

local SHARES_CUT_FIRST = {SHARE.PUBLIC, SHARE.RESERVE, SHARE.ASSISTED}

-- Whether people of this slot, or on their way into it, are still being dealt with.
local function is_busy(slot)
  return slot[SLOT.withdrawal_work] == 1 or slot[SLOT.moving_in] > 0
end

-- Units that a slot has promised beyond these, or beyond what it has handed out already.
local function excess(slot, keep)
  local promised = slot[SLOT.quota] + slot[SLOT.assisted_quota] + slot[SLOT.reserve_quota]
  return math.max(0, promised - math.max(keep, slot[SLOT.picked_up]))
end

-- Units that no share has given out.
local function units_of_nobody(slot)
  return units_left(slot, SHARE.PUBLIC) + units_left(slot, SHARE.ASSISTED) + units_left(slot, SHARE.RESERVE)
end

-- Cuts what nobody has, and leaves the rest to the next records. To a slot `to`, or to nowhere.
local function withdraw(campaign, slot, command, to)
  local no = campaign[CAMPAIGN.no]
  local keep = command.keep or 0
  local units = excess(slot, keep)
  local cut = {}
  for _, share in ipairs(SHARES_CUT_FIRST) do
    cut[share] = math.min(units, units_left(slot, share))
    stock(campaign, slot, share, -cut[share])
    campaign[CAMPAIGN.quota] = campaign[CAMPAIGN.quota] - cut[share]
    units = units - cut[share]
  end
  if keep == 0 then
    slot[SLOT.withdrawn] = 1
    units_came_free(no, command.slot, slot)  -- nobody waits there any more
  end
  if units > 0 then
    slot[SLOT.to_withdraw] = units
    slot[SLOT.withdrawal_work] = 1
    local sheets = get(sheets_key(campaign, slot))
    add_work(K.withdrawal_queue, K.withdrawals, {no, command.slot, to, to ~= '' and units or 0, sheets - 1})
  end
  put(K.s .. text[no] .. ':' .. command.slot, slot)
  put(K.c .. command.campaign, campaign)
  local where = to ~= '' and to or nil
  return done(FACT.SLOT_WITHDRAWN, cut[SHARE.PUBLIC], cut[SHARE.ASSISTED], cut[SHARE.RESERVE], units, where)
end

function RULES.withdraw_slot(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local slot = get_slot(K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. command.slot)
  if not slot then return refused(REASON.UNKNOWN_SLOT) end
  if is_busy(slot) then return refused(REASON.WITHDRAWAL_UNDER_WAY) end
  return withdraw(campaign, slot, command, '')
end

function RULES.move_slot(command)
  local campaign = sealed_campaign(command)
  if not campaign then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local slot = get_slot(K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. command.slot)
  local to_key = K.s .. text[campaign[CAMPAIGN.no]] .. ':' .. command.to
  local to = get_slot(to_key)
  if not slot or not to then return refused(REASON.UNKNOWN_SLOT) end
  if command.to == command.slot then return refused(REASON.SAME_SLOT) end
  if is_busy(slot) then return refused(REASON.WITHDRAWAL_UNDER_WAY) end
  local units = excess(slot, command.keep or 0)
  units = units - math.min(units, units_of_nobody(slot))
  local reason, left = why_not_slot(campaign, to, head[HEAD.now_ms], SHARE.PUBLIC, units)
  if reason then return refused(reason, left) end
  take(campaign, to, SHARE.PUBLIC, units)
  to[SLOT.moving_in] = to[SLOT.moving_in] + units
  put(to_key, to)
  return withdraw(campaign, slot, command, command.to)
end

-- The reservation goes to the other slot; the fact, or nil where that has no room or is over. The last one may have more
-- units than had to go: where more than was kept is needed, it comes last there.
local function move_one(campaign, slot, work, row, pass_no)
  if work[WITHDRAWAL.to] == '' then return nil end
  local key = K.s .. text[work[WITHDRAWAL.no]] .. ':' .. work[WITHDRAWAL.to]
  local to = get_slot(key)
  local kept = math.min(work[WITHDRAWAL.kept], row[RESERVATION.units])
  local more = row[RESERVATION.units] - kept
  if why_not_slot(campaign, to, head[HEAD.now_ms], SHARE.PUBLIC, more) then return nil end
  give_back(campaign, slot, row)
  work[WITHDRAWAL.kept] = work[WITHDRAWAL.kept] - kept
  to[SLOT.moving_in] = to[SLOT.moving_in] - kept
  take(campaign, to, SHARE.PUBLIC, more)
  row[RESERVATION.slot] = work[WITHDRAWAL.to]
  row[RESERVATION.share] = SHARE.PUBLIC
  remember(row, FACT.MOVED)
  confirm(campaign, to, row, pass_no)
  put(key, to)
  put(K.r .. pass_no, row)
  local name = get(K.n .. text[work[WITHDRAWAL.no]])
  local from, into = work[WITHDRAWAL.slot], work[WITHDRAWAL.to]
  return {FACT.MOVED, pass_no, name, from, into, row[RESERVATION.units], row[RESERVATION.ordinal]}
end

-- The reservation is gone, and the resident has precedence. Nobody waits for what they did not get; the fact.
local function lose_one(campaign, slot, row, pass_no)
  give_back(campaign, slot, row)
  row[RESERVATION.state] = RESERVATION_STATE.CANCELLED
  row[RESERVATION.reason] = REASON.SLOT_WITHDRAWN
  remember(row, FACT.WITHDRAWN, row[RESERVATION.reason])
  put(K.r .. pass_no, row)
  campaign[CAMPAIGN.cancelled] = campaign[CAMPAIGN.cancelled] + 1
  free_person(campaign, row)
  give_precedence(campaign, row)
  count_household(campaign, row, -1)
  end_cool_down(campaign, row, pass_no)
  local name = get(K.n .. text[row[RESERVATION.no]])
  return {FACT.WITHDRAWN, pass_no, name, row[RESERVATION.slot], row[RESERVATION.units]}
end

-- Who is on this sheet and has not got theirs yet goes, from the last line to the first.
local function go_through(campaign, slot, work, sheet, facts)
  local pass_nos = pass_nos_on(sheet)
  read_who_has(pass_nos, campaign[CAMPAIGN.region])
  for i = #pass_nos, 1, -1 do
    local pass_no = pass_nos[i]
    local row = get(K.r .. pass_no)
    if slot[SLOT.to_withdraw] == 0 then return end
    if row and row[RESERVATION.state] == RESERVATION_STATE.CONFIRMED
      and row[RESERVATION.slot] == work[WITHDRAWAL.slot] then
      facts[#facts + 1] = move_one(campaign, slot, work, row, pass_no) or lose_one(campaign, slot, row, pass_no)
    end
  end
end

-- What could not be taken back was handed out meanwhile. What was kept and not needed is for everybody again.
local function finish(campaign, slot, work)
  slot[SLOT.to_withdraw] = 0
  slot[SLOT.withdrawal_work] = 0
  drop_first_work(K.withdrawal_queue, K.withdrawals)
  if work[WITHDRAWAL.kept] > 0 then
    local key = K.s .. text[work[WITHDRAWAL.no]] .. ':' .. work[WITHDRAWAL.to]
    local to = get_slot(key)
    to[SLOT.moving_in] = to[SLOT.moving_in] - work[WITHDRAWAL.kept]
    take(campaign, to, SHARE.PUBLIC, -work[WITHDRAWAL.kept])
    units_came_free(work[WITHDRAWAL.no], work[WITHDRAWAL.to], to)
    put(key, to)
  end
end

-- What each record does of the first withdrawal: one sheet of its slot, behind a few others of the day.
local function withdraw_a_piece(facts)
  local work = first_work(K.withdrawal_queue, K.withdrawals)
  if not work then return end
  local no = text[work[WITHDRAWAL.no]]
  local name = get(K.n .. no)
  local campaign = get(K.c .. name)
  local slot_key = K.s .. no .. ':' .. work[WITHDRAWAL.slot]
  local slot = get_slot(slot_key)
  local foreign = 0
  while slot[SLOT.to_withdraw] > 0 and work[WITHDRAWAL.sheet] >= 0 and foreign < FOREIGN_SHEETS_PER_RECORD do
    local sheet = get(sheets_key(campaign, slot) .. ':' .. text[work[WITHDRAWAL.sheet]])
    work[WITHDRAWAL.sheet] = work[WITHDRAWAL.sheet] - 1
    if sheet and sheet[SHEET.no] == work[WITHDRAWAL.no] and sheet[SHEET.slot] == work[WITHDRAWAL.slot] then
      go_through(campaign, slot, work, sheet, facts)
      break
    end
    foreign = foreign + 1
  end
  if slot[SLOT.to_withdraw] > 0 and work[WITHDRAWAL.sheet] >= 0 then
    put_first_work(K.withdrawal_queue, K.withdrawals, work)
  else
    finish(campaign, slot, work)
    facts[#facts + 1] = {FACT.WITHDRAWAL_DONE, name, work[WITHDRAWAL.slot]}
  end
  put(slot_key, slot)
  put(K.c .. name, campaign)
end
