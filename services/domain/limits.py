"""The bounds of the rules. They decide, so they are part of the rules' version: changing one needs a new version."""

RULES_VERSION = 1
AHEAD_OF_TICK_MS = 120_000  # how far record time may run ahead of the last tick of the clock service
MAX_REFUSALS = 20  # recorded for one resident in one campaign: bots must not fill Redis
MAX_ACTIONS = 40  # remembered on one reservation
MAX_REFUSED_ACTIONS = 10  # of one terminal, or of the owner: nobody may use up what others are remembered in
UNDO_WITHIN_MS = 300_000  # a terminal may take a pick-up back
WAITING_PER_RECORD = 8  # entries of waiting lists that one record looks at; what is left is for the next records
WAITING_PER_CHUNK = 32
FOREIGN_SHEETS_PER_RECORD = 8  # that a withdrawal passes over, looking for one of its slot
RULES_KNOWN_MS = 60_000  # by then every door has read new rules: a stagger that is switched on holds from then on
READABLE_BEFORE_MS = 7_200_000  # a promotion later than this before its slot starts no cool-down (DESIGN section 6)
PASS_NO_CHARS = 16
SHEET_LINES = 16  # pass numbers on one sheet of a pharmacy's day

# Of one fold call. These decide nothing: batch cuts change nothing, and recorded decisions only answer the waiting.
DECISIONS_PER_CHUNK = 64  # offsets
DECISIONS_READABLE_MS = 60_000  # of record time, at least
MAX_ROWS_PER_CALL = 2_000  # changed rows after which a call stops early; one command changes at most 510
MAX_TRIM_PER_CALL = 16  # chunks: more than a full batch of commands makes
