"""What all commands are."""

import msgspec


class Command(
    msgspec.Struct, tag_field="type", frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What somebody wants. Subclasses are the kinds; the JSON field `type` names them."""
