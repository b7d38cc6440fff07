"""The development issuer: a key of its own in the state folder, and tokens for whoever asks.

Its name is refused by a process with production settings.
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from shared.settings import DEVELOPMENT_ISSUER

KEY_ID = "development"
HOURS = 12
EVERYTHING = (
    "billing.tab.access",
    "booking.manage",
    "catalog.manage",
    "debit.process",
    "invoice.manage",
    "mandate.manage",
    "package.close",
    "package.sell",
    "report.view",
)
"""The permissions of an owner (`docs/api.md`)."""


class Issuer:
    """Signs tokens with a key kept in a folder, where it also leaves the public half for the services."""

    def __init__(self, folder: Path) -> None:
        self.jwks = folder / "jwks.json"
        private = folder / "issuer.pem"
        if not private.exists():
            folder.mkdir(parents=True, exist_ok=True)
            made = Ed25519PrivateKey.generate()
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
        key = load_pem_private_key(private.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError(f"{private} does not hold an Ed25519 key; remove it to get a new one")
        self._key = key
        public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": KEY_ID, "use": "sig", "alg": "EdDSA"}
        if not self.jwks.exists() or json.loads(self.jwks.read_text()) != {"keys": [public]}:
            self.jwks.write_text(json.dumps({"keys": [public]}))

    def staff(self, business_id: UUID, *, sub: str = "owner", permissions: Iterable[str] = EVERYTHING) -> str:
        """A token of staff; the owner's may do everything."""
        return self._sign(business_id=str(business_id), sub=sub, role="staff", permissions=sorted(permissions))

    def client(self, business_id: UUID, client_id: UUID) -> str:
        """A token of a client, who sees what is theirs."""
        return self._sign(business_id=str(business_id), sub=str(client_id), role="client", client_id=str(client_id))

    def service(self, business_id: UUID, *, permissions: Iterable[str] = ()) -> str:
        """A token of a program that acts in a business."""
        return self._sign(business_id=str(business_id), sub="program", role="service", permissions=sorted(permissions))

    def _sign(self, **claims: object) -> str:
        now = int(time.time())
        times = {"iss": DEVELOPMENT_ISSUER, "aud": "punchcard", "iat": now, "exp": now + HOURS * 3600}
        return jwt.encode(claims | times, self._key, algorithm="EdDSA", headers={"kid": KEY_ID})
