-- Rows of slots. Zeros at the end of a row are left out, and most slots need nothing behind `on_sheet`: unpacking and
-- packing this row was the dearest part of a booking. The rule of bookings reads a row as it is; all others have it
-- whole, and it is cut again before it is written, so that a row depends on the log alone and not on who looked at it.

local is_whole  -- rows that have every field during this call

local function forget_slots()
  is_whole = {}
end

-- Every field that a rule may add to or compare is there. A row that comes with all of them may end in zeros after it.
local function whole(slot)
  for i = #slot + 1, SLOT_FIELDS do slot[i] = 0 end
  is_whole[slot] = true
  return slot
end

local function get_slot(key)
  local slot = get(key)
  return slot and whole(slot)
end

local function cut_slots()
  for slot in pairs(is_whole) do
    for i = #slot, SLOT.on_sheet + 1, -1 do
      if slot[i] ~= 0 then break end
      slot[i] = nil
    end
  end
end

-- Until when units of this slot are handed out.
local function pick_until_ms(slot)
  if slot[SLOT.grace_until_ms] > 0 then return slot[SLOT.grace_until_ms] end
  return math.max(slot[SLOT.day_to_ms], slot[SLOT.ends_ms])
end

-- Until when who is in it may change to another slot.
local function change_until_ms(slot)
  if slot[SLOT.change_before_ms] > 0 then return slot[SLOT.change_before_ms] end
  return slot[SLOT.starts_ms]
end
