"""Secrets at rest: AES-256-GCM, bound to what they are about, so that a sealed text moved to another row stays shut."""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ID_BYTES, NONCE_BYTES, KEY_BYTES = 4, 12, 32


class CannotOpen(Exception):
    """No key that is known opens this, or it was sealed about something else."""


def key_of(text: str) -> bytes:
    """32 bytes from their base64 text, as `openssl rand -base64 32` writes it. Raises ValueError."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("write 32 random bytes in base64 (openssl rand -base64 32)")
    return key


class Seal:
    """Closes with the first key, opens with any: put a new key first, and the old ones can still be read."""

    def __init__(self, keys: Sequence[str]) -> None:
        known = list(map(key_of, keys))
        self._keys = {sha256(key).digest()[:ID_BYTES]: AESGCM(key) for key in known}
        self._marking = [hmac.digest(key, b"marks", "sha256") for key in known]

    def marks(self, content: bytes) -> list[str]:
        """What a content is known again by, under each key, the newest first: without the key nobody can guess it."""
        return [hmac.new(key, content, sha256).hexdigest() for key in self._marking]

    def close(self, text: str, *, about: str) -> bytes:
        key_id, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        return key_id + nonce + key.encrypt(nonce, text.encode(), about.encode())

    def is_old(self, sealed: bytes) -> bool:
        """Whether it is closed under another key than the first."""
        return sealed[:ID_BYTES] != next(iter(self._keys))

    def renew(self, sealed: bytes, *, about: str) -> bytes:
        """The same under the first key. Raises CannotOpen."""
        return self.close(self.open(sealed, about=about), about=about)

    def open(self, sealed: bytes, *, about: str) -> str:
        """The text. Raises CannotOpen."""
        key = self._keys.get(sealed[:ID_BYTES])
        nonce, rest = sealed[ID_BYTES : ID_BYTES + NONCE_BYTES], sealed[ID_BYTES + NONCE_BYTES :]
        try:
            if key is None:
                raise CannotOpen
            return key.decrypt(nonce, rest, about.encode()).decode()
        except InvalidTag:
            raise CannotOpen from None
