"""`maskline prepare`: what has to be there before the first service starts, where nobody says `maskline up`."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from infra.launcher.first_steps import ADMIN_TOKEN, ensure_admin_token, prepare_log
from services.platform.lifecycle import fast_loop
from services.platform.settings import SecretFiles, SystemSettings
from services.platform.telemetry import configure_logging


class PrepareSettings(SystemSettings, frozen=True, kw_only=True):
    """What `maskline prepare` is told."""

    log_partitions: Annotated[
        int, Meta(description="Partitions of a new log, fixed for its life; 0: 4, or what the log has.", ge=0, le=100)
    ] = 0
    replicas: Annotated[int, Meta(description="Copies of each partition.", ge=1)] = 3
    secret_files: SecretFiles = SecretFiles()


def run(settings: PrepareSettings, tell: Callable[[str], None]) -> None:
    """Topics, secrets, the first record of each partition, the console's token; what is there stays.

    Raises what `prepare_log` raises, and OthersCanRead.
    """
    configure_logging("prepare", settings.log_level)
    ensure_admin_token(settings.data)
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        count = runner.run(
            prepare_log(
                settings,
                settings.data,
                partitions=settings.log_partitions or None,
                replicas=settings.replicas,
                secret_files=settings.secret_files,
            )
        )
    tell(f"The log has {count} partitions. The console's token is in {settings.data / ADMIN_TOKEN}.")
