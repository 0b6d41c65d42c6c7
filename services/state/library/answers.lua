-- The answers of a decision: a list of facts; a fact is a list that begins with its FACT.

local function refused(reason, a, b)
  return {{FACT.REFUSED, reason, a, b}}
end

local function done(fact, a, b, c, d, e, f)
  return {{fact, a, b, c, d, e, f}}
end

local function repeated(first)
  local fact = {FACT.REPEATED}
  for i = 1, #first do fact[i + 1] = first[i] end
  return {fact}
end

-- What each kind of command means, by its word. Not a local function each: a chunk of Lua has room for 200 locals.
local RULES = {}
