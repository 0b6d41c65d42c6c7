"""Looks at the Redis that it folds in. What is wrong with it stops this process at its start, and a partition later."""

import structlog

from services.state.library import Library
from services.state.redis_client import RedisError, ResponseError
from services.state.store import Store
from services.state.store_check import StoreUnfit, check_libraries, check_stores

log = structlog.get_logger(__name__)


class StoreGuard:
    """Of one process."""

    def __init__(self, redis: Store, library: Library) -> None:
        self._redis = redis
        self._library = library
        self._told: set[str] = set()

    async def look(self, partition: int | None = None) -> None:
        """At all of it, or at what a partition's rows are on: the trouble of another shard is not theirs.

        Raises StoreUnfit, LibraryReplaced, or the errors of Redis. What cannot be looked at is told, once.
        """
        found = await check_stores(self._redis, partition)
        for note in found.notes:
            self._tell_once(note)
        if found.wrong:
            raise StoreUnfit(what=" ".join(found.wrong))
        try:
            await check_libraries(self._redis, self._library, partition)
        except ResponseError:
            self._tell_once("whether the function library is ours could not be checked: FUNCTION LIST is not allowed")

    async def look_at_start(self) -> None:
        """The same; a Redis that does not answer yet is looked at when it does."""
        try:
            await self.look()
        except (RedisError, OSError) as error:
            log.warning("Redis does not answer yet", action="redis_wait", why=type(error).__name__)

    def _tell_once(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            log.warning("Redis", action="store_unchecked", what=note)
