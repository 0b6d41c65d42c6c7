-- A campaign's phases: scheduled, open, paused, closed (services/domain/rules/phases.py).

local function sealed_campaign(command)
  local row = get(K.c .. command.campaign)
  if row and row[CAMPAIGN.phase] ~= PHASE.DRAFT then return row end
  return nil
end

-- Whether the campaign's deletion day has come: nothing is kept of anybody any more.
local function is_past_deletion(campaign)
  local delete_ms = campaign[CAMPAIGN.delete_ms]
  return delete_ms > 0 and delete_ms <= head[HEAD.now_ms]
end

function RULES.open(command)
  local row = sealed_campaign(command)
  if not row then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local phase = row[CAMPAIGN.phase]
  if phase ~= PHASE.SCHEDULED and phase ~= PHASE.CLOSED then return refused(REASON.WRONG_PHASE, phase) end
  if command.by_clock and row[CAMPAIGN.closed_by_operator] == 1 then return refused(REASON.WRONG_PHASE, phase) end
  row[CAMPAIGN.phase] = PHASE.OPEN
  row[CAMPAIGN.closed_by_operator] = 0
  put(K.c .. command.campaign, row)
  return done(FACT.OPENED)
end

function RULES.pause(command)
  local row = sealed_campaign(command)
  if not row then return refused(REASON.UNKNOWN_CAMPAIGN) end
  if row[CAMPAIGN.phase] ~= PHASE.OPEN then return refused(REASON.WRONG_PHASE, row[CAMPAIGN.phase]) end
  row[CAMPAIGN.phase] = PHASE.PAUSED
  put(K.c .. command.campaign, row)
  return done(FACT.PAUSED)
end

function RULES.resume(command)
  local row = sealed_campaign(command)
  if not row then return refused(REASON.UNKNOWN_CAMPAIGN) end
  if row[CAMPAIGN.phase] ~= PHASE.PAUSED then return refused(REASON.WRONG_PHASE, row[CAMPAIGN.phase]) end
  row[CAMPAIGN.phase] = PHASE.OPEN
  put(K.c .. command.campaign, row)
  return done(FACT.RESUMED)
end

function RULES.close(command)
  local row = sealed_campaign(command)
  if not row then return refused(REASON.UNKNOWN_CAMPAIGN) end
  local phase = row[CAMPAIGN.phase]
  if command.by_clock and (phase == PHASE.CLOSED or phase == PHASE.SCHEDULED) then
    return refused(REASON.WRONG_PHASE, phase)
  end
  row[CAMPAIGN.phase] = PHASE.CLOSED
  row[CAMPAIGN.closed_by_operator] = command.by_clock and 0 or 1
  put(K.c .. command.campaign, row)
  return done(FACT.CLOSED)
end
