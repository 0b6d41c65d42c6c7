-- The log itself: its identity, its clock, its rules, and which partition a region lives in (services/domain/rules/log.py).

function RULES.genesis(command)
  if head[HEAD.position] ~= 0 then return refused(REASON.MALFORMED) end
  head[HEAD.log] = command.log
  head[HEAD.key_check] = command.key_check
  head[HEAD.rules] = command.rules
  return done(FACT.LOG_BEGAN)
end

function RULES.tick(command)
  head[HEAD.tick_ms] = math.max(head[HEAD.tick_ms], command.at_ms)
  return done(FACT.TICKED)
end

function RULES.adopt_rules(command)
  head[HEAD.rules] = math.max(head[HEAD.rules], command.version)
  return done(FACT.RULES_ADOPTED)
end

function RULES.assign_region(command)
  local owner = get(K.gn .. command.campaign)
  if owner and owner ~= command.region then return refused(REASON.CAMPAIGN_ELSEWHERE, owner) end
  local partition = get(K.g .. command.region)
  if not partition then
    local counts = get(K.gc) or {}
    while #counts < command.partitions do counts[#counts + 1] = 0 end
    partition = 0
    for i = 1, command.partitions - 1 do
      if counts[i + 1] < counts[partition + 1] then partition = i end
    end
    counts[partition + 1] = counts[partition + 1] + 1
    put(K.gc, counts)
    put(K.g .. command.region, partition)
  end
  put(K.gn .. command.campaign, command.region)
  return done(FACT.REGION_ASSIGNED, partition)
end
