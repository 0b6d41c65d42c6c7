"""What keeps a copy from being taken or brought back, in words."""

from services.platform.errors import MasklineError


class BackupUnreadable(MasklineError):
    """{path} is no whole piece of a copy: {why}. Take the copy from another disk; nothing of this one was used."""


class BackupIncomplete(MasklineError):
    """The copy in {folder} has not all of partition {partition}: the piece from offset {start} on is missing (to {end}
    or beyond). Put the missing file back; without it what comes after is worth nothing.
    """


class BackupOfAnotherLog(MasklineError):
    """The copy in {folder} is one of another log: {why}. Name another folder for a copy of this log."""


class BackupFailed(MasklineError):
    """The copy to {folder} was not made: {why}. The pieces from before are as they were; run it again."""


class SecretsDiffer(MasklineError):
    """{path} is another key than {other}: they are secrets of two installations. Nothing was overwritten."""


class SecretsElsewhere(MasklineError):
    """The log was copied, the secrets were not: settings name files for some of them ({named}), and only a folder is
    copied. Keep those files as you made them, copy what else is in {folder}, and leave --with-secrets out.
    """


class SecretsNotBroughtBack(MasklineError):
    """The secrets were not put into {folder}: {why}. Nothing was written to Kafka; run it again."""


class OtherSecrets(MasklineError):
    """The secrets in {folder} are not those that the log in {backup} was made with: with them everybody would be a new
    person. Name the data folder with the right ones: --data FOLDER.
    """


class KafkaInUse(MasklineError):
    """Kafka at {kafka} has a log already: {why}. A copy is brought back to a Kafka without one: name another, or delete
    the topics 'commands' and 'events' there if nobody needs them.
    """


class RedisInUse(MasklineError):
    """Redis has rows of a log: partition {partition} stands at position {position}. Empty it first, or name another:
    what was decided is made again from the log, by `maskline rebuild`.
    """


class RestoreFailed(MasklineError):
    """Partition {partition} was not brought back: {why}. Run it again: it goes on with what is there."""


class RestoreDiffers(MasklineError):
    """Partition {partition} of 'commands' has another record at offset {offset} than the copy. Delete the topics
    'commands' and 'events' of this Kafka, which has a log of somebody else or was written to, and run it again.
    """
