"""The pass keys as their folder has them, in a process that runs: a key that is added is known, one that goes is not.

Whoever uses them looks at the folder, at most once in LOOK_AGAIN_S; where it cannot be read, the keys of before stay.
"""

from __future__ import annotations

import time

import structlog

from services.platform.errors import MasklineError
from services.platform.passes import Pass, PassSigner, PassVerifier
from services.platform.secrets import Secrets

LOOK_AGAIN_S = 2.0
"""A look takes 0.2 ms a key."""
SIGN_AFTER_S = 3 * LOOK_AGAIN_S
"""Whoever verifies has looked by then: nobody comes with a pass whose key is not known yet."""

log = structlog.get_logger(__name__)


class PassKeys:
    """Signs and verifies with the keys of now."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets: Secrets = secrets
        self._verifier: PassVerifier = secrets.pass_verifier()
        self._signer: PassSigner = secrets.pass_signer()
        self._newest = self._signer
        self._looked_s = self._changed_s = time.monotonic()

    def sign(self, content: Pass) -> str:
        """With the newest key that has been there for SIGN_AFTER_S. Raises PassTooLong."""
        self._look()
        if self._signer is not self._newest and self._looked_s - self._changed_s >= SIGN_AFTER_S:
            self._signer = self._newest
        return self._signer.sign(content)

    def verify(self, text: str) -> Pass:
        """What the pass says. Raises PassInvalid."""
        self._look()
        return self._verifier.verify(text)

    def published(self) -> dict[str, str]:
        """Key id → public key in base64url."""
        self._look()
        return self._verifier.published()

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_AGAIN_S:
            return
        self._looked_s = now_s
        try:
            found = self._secrets.with_pass_keys_of_now()
        except MasklineError as error:
            log.error("The pass keys cannot be read", action="pass_keys_unreadable", why=str(error))
            return
        if found.key_ids() != self._secrets.key_ids():
            log.info("The pass keys have changed", action="pass_keys_changed", keys=found.key_ids()["pass"])
            self._use(found)

    def _use(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._verifier = secrets.pass_verifier()
        self._newest = secrets.pass_signer()
        self._changed_s = self._looked_s
        if self._signer.key_id not in self._verifier.published():  # its passes are refused from now on
            self._signer = self._newest
