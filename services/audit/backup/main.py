"""The commands `maskline backup` and `maskline restore`."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from services.audit import progress
from services.audit.backup.errors import BackupFailed, KafkaInUse, OtherSecrets, RedisInUse, SecretsNotBroughtBack
from services.audit.backup.pieces import BackupFolder
from services.audit.backup.restore import Copy, Restored, restore_partition
from services.audit.backup.secrets_copy import bring_back_secrets, copy_secrets_of
from services.audit.backup.take import Copied, take_all
from services.audit.rebuild import Progress
from services.platform.lifecycle import fast_loop
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import SecretFiles, SystemSettings
from services.platform.telemetry import configure_command_logging
from services.state.errors import StateUnavailableError
from services.state.readers import read_head
from services.state.redis_access import redis_address
from services.state.redis_client import RedisError
from services.state.store import open_store
from services.stream.client import start_admin, start_producer
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, GIVES_TIME, count_partitions, ensure_topics, finish_copy, whose_time

T = TypeVar("T")
LOG: Final = "log"
"""The log's folder in a backup."""


class BackupSettings(SystemSettings, frozen=True, kw_only=True):
    """What backup is told."""

    secret_files: SecretFiles = SecretFiles()


class RestoreSettings(SystemSettings, frozen=True, kw_only=True):
    """What restore is told. The addresses are those of a Kafka and a Redis that have nothing of ours."""

    replicas: Annotated[int, Meta(description="Copies of each partition that Kafka is to keep.", ge=1)] = 3
    secret_files: SecretFiles = SecretFiles()


async def backup(settings: BackupSettings, folder: Path, on_progress: Progress) -> list[Copied]:
    """What came to the log since the last time, into `folder`. Raises what `take_all` raises."""
    partitions = await count_partitions(settings)
    commands = PartitionReader(settings, COMMANDS)
    try:
        return await take_all(commands, BackupFolder(folder / LOG), partitions, on_progress)
    finally:
        await commands.stop()


class BroughtBack(NamedTuple):
    """What a restore did: each partition, and how many files of secrets it put where there were none."""

    partitions: list[Restored]
    secrets: int


async def restore(settings: RestoreSettings, folder: Path, on_progress: Progress) -> BroughtBack:
    """What is in `folder` into a Kafka that has no log, and the secrets to where there are none.

    Nothing is written before the copy, Redis and Kafka were found fit. Raises BackupIncomplete, BackupUnreadable,
    RedisInUse, KafkaInUse, SecretsDiffer, SecretsNotBroughtBack, OtherSecrets, RestoreDiffers, RestoreFailed,
    LogUnavailable, and what keeps it from Kafka and Redis.
    """
    copies = await asyncio.to_thread(_checked_copies, BackupFolder(folder / LOG))
    await _check_redis(settings, len(copies))
    admin = await start_admin(settings)
    try:
        if await whose_time(admin) == GIVES_TIME:
            raise KafkaInUse(kafka=settings.kafka, why="its topic 'commands' is not one that waits for a copy")
        secrets = _bring_back_secrets(settings, folder)
        _check_secrets(settings, folder, copies)
        await ensure_topics(admin, len(copies), settings.replicas, takes_copies=True)
        done = await _restore_all(settings, copies, on_progress)
        await finish_copy(admin, settings.replicas)
    finally:
        await admin.close()
    return BroughtBack(done, secrets)


def run_backup(
    settings_of: Callable[[], BackupSettings],
    folder: Path,
    tell: Callable[[str], None],
    *,
    with_secrets: bool,
    as_json: bool,
) -> int:
    """The command: 0, or what kept it from its work is raised, in words."""
    settings = settings_of()
    configure_command_logging("backup", settings.log_level)
    done = _run(lambda on_progress: backup(settings, folder, on_progress), tell, as_json=as_json)
    files = 0
    if with_secrets:
        try:
            key_check = BackupFolder(folder / LOG).whole_chain(0)[0].describe().key_check
            files = copy_secrets_of(key_check, _secrets_of(settings), settings.secret_files, folder / SECRETS)
        except OSError as error:
            raise BackupFailed(folder=folder / SECRETS, why=error.strerror or type(error).__name__) from error
    if as_json:
        tell(msgspec.json.encode({"partitions": done, "secrets": files}).decode())
        return 0
    for each in done:
        tell(str(each))
    tell(
        f"{files} files of secrets copied: whoever has {folder} can book as anybody and read what the log holds."
        if with_secrets
        else "The secrets were not copied, and without them this log is worth nothing: --with-secrets does it."
    )
    return 0


def run_restore(settings: RestoreSettings, folder: Path, tell: Callable[[str], None], *, as_json: bool) -> int:
    """The command: 0, or what kept it from its work is raised, in words."""
    configure_command_logging("restore", settings.log_level)
    done = _run(lambda on_progress: restore(settings, folder, on_progress), tell, as_json=as_json)
    if as_json:
        tell(msgspec.json.encode(done._asdict()).decode())
        return 0
    for each in done.partitions:
        tell(str(each))
    tell("The log is back. Now: `maskline rebuild`, start the services, `maskline ledger rebuild`, `maskline verify`.")
    return 0


def _run(work: Callable[[Progress], Coroutine[None, None, T]], tell: Callable[[str], None], *, as_json: bool) -> T:
    showing = progress.lines(tell) if as_json else progress.bars()
    with showing as on_progress, asyncio.Runner(loop_factory=fast_loop()) as runner:
        return runner.run(work(on_progress))


def _secrets_of(settings: BackupSettings | RestoreSettings) -> Path:
    return settings.secret_files.secrets or settings.data / SECRETS


def _checked_copies(folder: BackupFolder) -> list[Copy]:
    """Every piece, after its checksum was compared."""
    copies = [Copy(PartitionId(number), folder.whole_chain(number)) for number in range(folder.partitions())]
    for copy in copies:
        for piece in copy.pieces:
            piece.check()
    return copies


def _bring_back_secrets(settings: RestoreSettings, folder: Path) -> int:
    """How many files were put; a copy may have none, and they stand elsewhere."""
    try:
        return bring_back_secrets(folder / SECRETS, _secrets_of(settings)) if (folder / SECRETS).is_dir() else 0
    except OSError as error:
        raise SecretsNotBroughtBack(folder=_secrets_of(settings), why=error.strerror or type(error).__name__) from error


def _check_secrets(settings: RestoreSettings, folder: Path, copies: list[Copy]) -> None:
    ours = Secrets.load(settings.data / SECRETS, settings.secret_files).key_check()
    if any(copy.pieces[0].describe().key_check != ours for copy in copies):
        raise OtherSecrets(folder=_secrets_of(settings), backup=folder)


async def _check_redis(settings: RestoreSettings, partitions: int) -> None:
    redis = open_store(redis_address(settings), timeout_s=settings.redis_timeout_s)
    try:
        for number in range(partitions):
            head = await read_head(redis, number)
            if head is not None:
                raise RedisInUse(partition=number, position=head.position)
    except (RedisError, OSError) as error:
        raise StateUnavailableError(what=str(error) or type(error).__name__) from error
    finally:
        await redis.aclose()


async def _restore_all(settings: RestoreSettings, copies: list[Copy], on_progress: Progress) -> list[Restored]:
    log, producer = PartitionReader(settings, COMMANDS), await start_producer(settings)
    try:
        return [await restore_partition(log, producer, copy, on_progress) for copy in copies]
    finally:
        await producer.stop()
        await log.stop()
