"""What can go wrong with the ledger's database, in words for the person who runs it."""

from services.platform.errors import MasklineError


class DatabaseUnavailableError(MasklineError):
    """The ledger's database does not answer as it should: {why}. Nothing is lost: the log has everything."""


class DatabaseUrlInvalid(MasklineError):
    """'{url}' is no database of the ledger: {why}. Write postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///FILE.

    One with a password belongs into MASKLINE_LEDGER: everybody on a machine can read a command line.
    """


class SchemaTooNewError(MasklineError):
    """The ledger's database was made by a newer version of Maskline (its schema is {found}, ours {ours}).

    Start that version, or name an empty database: the ledger is made again from the log.
    """


class SchemaMissingError(MasklineError):
    """The ledger's database is empty: no ledger has written to it. Start one: `maskline ledger`."""


class LedgerNotNamed(MasklineError):
    """No database of the ledger is named: --ledger URL, or MASKLINE_LEDGER."""
