-- A resident: the one live reservation, the refusals so far, and until when they have to wait
-- (services/domain/rules/people.py).

local function person_key(campaign, resident)
  return K.p .. campaign[CAMPAIGN.region] .. ':' .. resident
end

local function aside_key(no, resident)
  return K.a .. text[no] .. ':' .. resident
end

-- Most rows end before it, and no field of a row is nil.
local function set_precedence(person, precedence)
  if precedence == (person[PERSON.precedence] or 0) then return end
  person[PERSON.aside] = person[PERSON.aside] or 0
  person[PERSON.precedence] = precedence
end

-- What was about another campaign goes aside, and what stands aside of this one comes back.
local function come_to(campaign, resident, key, person)
  local precedence = person[PERSON.precedence] or 0
  if person[PERSON.live] ~= '' or person[PERSON.refusals] > 0 or precedence == 1 then
    put(aside_key(person[PERSON.no], resident), {
      person[PERSON.no], person[PERSON.live], person[PERSON.refusals], 0, '', 0, precedence == 1 and precedence or nil,
    })
    person[PERSON.aside] = (person[PERSON.aside] or 0) + 1
  end
  local no = campaign[CAMPAIGN.no]
  local earlier = get(aside_key(no, resident))
  if not earlier then
    person[PERSON.no], person[PERSON.live], person[PERSON.refusals] = no, '', 0
    set_precedence(person, 0)
  else
    person[PERSON.no], person[PERSON.live], person[PERSON.refusals] = no, earlier[PERSON.live], earlier[PERSON.refusals]
    set_precedence(person, earlier[PERSON.precedence] or 0)
    remove(aside_key(no, resident))
    person[PERSON.aside] = person[PERSON.aside] - 1
  end
  put(key, person)
end

-- The resident's row, whichever campaign it is about. What is deleted is as if it had never been.
local function person_of(campaign, resident)
  return get(person_key(campaign, resident)) or {0, '', 0, 0, '', 0}
end

-- The resident's row, about this campaign. The caller puts it under its key.
local function person_in(campaign, resident, key)
  local person = get(key)
  if not person then return {campaign[CAMPAIGN.no], '', 0, 0, ''} end
  if person[PERSON.no] ~= campaign[CAMPAIGN.no] then come_to(campaign, resident, key, person) end
  return person
end

-- Where it stands what the resident did in this campaign, in front or aside.
local function key_in(campaign, resident)
  if person_of(campaign, resident)[PERSON.no] == campaign[CAMPAIGN.no] then return person_key(campaign, resident) end
  return aside_key(campaign[CAMPAIGN.no], resident)
end

-- The resident has no live reservation any more, and may book again.
local function free_person(campaign, row)
  local key = key_in(campaign, row[RESERVATION.resident])
  local person = get(key)
  person[PERSON.live] = ''
  put(key, person)
end

-- The resident lost a place and did nothing for it: the reserve is theirs as well, and earlier tries do not count. The
-- caller puts the campaign.
local function give_precedence(campaign, row)
  local key = key_in(campaign, row[RESERVATION.resident])
  local person = get(key)
  campaign[CAMPAIGN.precedence] = campaign[CAMPAIGN.precedence] + 1
  set_precedence(person, 1)
  person[PERSON.refusals] = 0
  put(key, person)
end

local function has_precedence(person)
  return person[PERSON.precedence] == 1
end

-- The resident has got units again. The caller puts the campaign.
local function use_precedence(campaign, resident)
  if campaign[CAMPAIGN.precedence] == 0 then return end
  local key = key_in(campaign, resident)
  local person = get(key)
  if person and has_precedence(person) then
    campaign[CAMPAIGN.precedence] = campaign[CAMPAIGN.precedence] - 1
    set_precedence(person, 0)
    put(key, person)
  end
end

-- Who got some has to wait, across the campaigns of the region; not once a campaign asks for that no more.
local function start_cool_down(campaign, slot, row, pass_no)
  local cool_until_ms = slot[SLOT.cool_until_ms] or 0
  if campaign[CAMPAIGN.cool_down] == 1 and cool_until_ms > 0 then
    local key = person_key(campaign, row[RESERVATION.resident])
    local person = get(key) or {0, '', 0, 0, ''}
    person[PERSON.cool_until_ms], person[PERSON.cool_pass_no] = cool_until_ms, pass_no
    put(key, person)
  end
end

-- Who gives a reservation back before its slot begins does not have to wait.
local function end_cool_down(campaign, row, pass_no)
  local person = person_of(campaign, row[RESERVATION.resident])
  if person[PERSON.cool_pass_no] == pass_no then
    person[PERSON.cool_until_ms], person[PERSON.cool_pass_no] = 0, ''
    put(person_key(campaign, row[RESERVATION.resident]), person)
  end
end

-- A cool-down goes on when the reservation that began it is deleted, and does not tell of it.
local function forget_pass(campaign, resident, pass_no)
  local person = person_of(campaign, resident)
  if person[PERSON.cool_pass_no] == pass_no then
    person[PERSON.cool_pass_no] = ''
    put(person_key(campaign, resident), person)
  end
end

-- Whether the reservation that a row names is still kept, live or picked up.
local function has_one(person)
  return person[PERSON.live] ~= '' and get(K.r .. person[PERSON.live]) ~= nil
end

-- Whether a row says no more than no row.
local function says_nothing(person)
  local says_of_campaigns = person[PERSON.live] ~= '' or person[PERSON.refusals] > 0 or (person[PERSON.aside] or 0) > 0
    or person[PERSON.precedence] == 1
  return not says_of_campaigns and person[PERSON.cool_until_ms] <= head[HEAD.now_ms]
end

-- Deletes what the resident did in this campaign; 1 where something went. Until when they have to wait is kept until it
-- is over, and then nothing. Whose reservation is still there stays. The caller puts the campaign.
local function forget_person(campaign, resident)
  local key = person_key(campaign, resident)
  local person = person_of(campaign, resident)
  local aside = get(aside_key(campaign[CAMPAIGN.no], resident))
  local gone = 0
  if aside and not has_one(aside) then
    campaign[CAMPAIGN.precedence] = campaign[CAMPAIGN.precedence] - (aside[PERSON.precedence] or 0)
    remove(aside_key(campaign[CAMPAIGN.no], resident))
    person[PERSON.aside] = person[PERSON.aside] - 1
    gone = 1
  end
  if person[PERSON.no] == campaign[CAMPAIGN.no] and not has_one(person) then
    campaign[CAMPAIGN.precedence] = campaign[CAMPAIGN.precedence] - (person[PERSON.precedence] or 0)
    person[PERSON.no], person[PERSON.live], person[PERSON.refusals] = 0, '', 0
    set_precedence(person, 0)
    gone = 1
  end
  if says_nothing(person) then
    gone = get(key) and 1 or 0
    if gone == 1 then remove(key) end
  elseif gone == 1 then
    put(key, person)
  end
  return gone
end
