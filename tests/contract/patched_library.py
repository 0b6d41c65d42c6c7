"""The function library with a protection taken away: for controls. There is no switch for it in the product."""

from services.state.library import FILES, Library, build, source

# What a control takes away, and what stands there instead.
POSITION_CHECK = (
    ("  if from > position then return pack({'gap', position, {}}) end\n", ""),
    ("  for offset = from, math.min(to, position) - 1 do decisions[offset - from + 1] = recorded(offset) end\n", ""),
    ("  for offset = position, to - 1 do\n", "  for offset = from, to - 1 do\n"),
)
GAP_CHECK = (
    (
        "  if from > position then return pack({'gap', position, {}}) end\n",
        "  if from > position then position = from end\n",
    ),
)
QUOTA_CHECK = (
    ("  if left_in_campaign(campaign, share) == 0 then return REASON.SOLD_OUT, 0 end\n", ""),
    ("  return REASON.SLOT_FULL, left\n", "  return nil, 0\n"),
)
ONE_PER_RESIDENT = (
    ("  if person[PERSON.live] ~= '' then return REASON.ALREADY_RESERVED end\n", ""),
    ("    return person[PERSON.live] ~= '' and REASON.ALREADY_RESERVED or nil\n", "    return nil\n"),
)
FIRST_ANSWER = (("  if first then return repeated(first[1]) end\n", ""),)
PUBLISHED_BEFORE_TRIMMING = (("    if (no + 1) * DECISIONS_PER_CHUNK > head[HEAD.published] then break end\n", ""),)
ONE_WRITE = (
    ("  pairs_to_set[n + 1] = K.head\n", "  call('MSET', K.head, pack(head))\n  pairs_to_set[n + 1] = K.head\n"),
)
LIVE_STAYS = (
    ("  if state == RESERVATION_STATE.CONFIRMED or state == RESERVATION_STATE.WAITLISTED then return 0 end\n", ""),
)
DELETION_DAY = (("  if not is_past_deletion(campaign) then\n", "  if false then\n"),)
COOL_DOWN_STAYS = (
    ("  return not says_of_campaigns and person[PERSON.cool_until_ms] <= head[HEAD.now_ms]\n",
     "  return not says_of_campaigns\n"),
)  # fmt: skip
WHAT_IS_ASIDE = ((" or (person[PERSON.aside] or 0) > 0\n", "\n"),)
WHAT_COMES_BACK_IS_GONE = (("    absorb(campaign, slot, row[RESERVATION.share], row[RESERVATION.units])\n", ""),)
KEPT_FOR_THOSE_WHO_MOVE = (
    ("  take(campaign, to, SHARE.PUBLIC, units)\n", ""),
    ("  to[SLOT.moving_in] = to[SLOT.moving_in] + units\n", ""),
    (", to ~= '' and units or 0, sheets - 1}", ", 0, sheets - 1}"),
)
NEVER_KEY = (
    ("  wanted, wants = {K.never}, 1\nend\n\n-- Remembers", "  wanted, wants = {}, 0\nend\n\n-- Remembers"),
    ("  if wants == 1 then return end\n", "  if wants == 0 then return end\n"),
    ("  for i = 2, wants do\n", "  for i = 1, wants do\n"),
    ("  wanted, wants = {K.never}, 1\nend\n\n-- The row", "  wanted, wants = {}, 0\nend\n\n-- The row"),
)
# What goes wrong at the worst moment: just before Redis has what was decided.
OUT_OF_MEMORY = (("  call('MSET', unpack(pairs_to_set, 1, n + 2))\n", "  error('out of memory')\n"),)


def without(*changes: tuple[str, str]) -> Library:
    """The library with these parts of its text replaced; a part that is no longer there fails the test."""
    body = "\n".join(map(source, FILES))
    for part, instead in changes:
        assert body.count(part) == 1, f"the library no longer has: {part}"
        body = body.replace(part, instead)
    return build(body)
