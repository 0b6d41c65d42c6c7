"""A program that this machine does not have, and the command that installs it."""

from services.platform.errors import MasklineError


class PartMissing(MasklineError):
    """{part} is missing: {why}. Install it: {command}

    On Debian and Ubuntu `make deps-debian` installs everything that the real tier needs.
    """
