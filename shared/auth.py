"""Who is asking: a signed token (JWT) checked against the issuer's public keys, and what it may do.

Every service checks for itself; the gateway is never the only lock. Algorithms are allow-listed, and a token without
expiry, issuer, audience or subject is refused.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import httpx
import jwt
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from shared.errors import Unauthenticated, Unavailable
from shared.log import log

ALGORITHMS = ["RS256", "ES256", "EdDSA"]
LEEWAY_SECONDS = 30
REFETCH_SECONDS = 30


class Caller(BaseModel):
    """The claims of a token (`docs/api.md`): which business, who, and what they may do."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    business_id: UUID
    sub: str
    role: Literal["staff", "client", "service"]
    client_id: UUID | None = None
    permissions: frozenset[str] = frozenset()

    @model_validator(mode="after")
    def _a_client_is_somebody(self) -> "Caller":
        if (self.role == "client") != (self.client_id is not None):
            raise ValueError("client_id belongs to tokens of the role client, and to all of them")
        return self

    @property
    def actor(self) -> str:
        return f"{self.role}:{self.sub}"

    @property
    def is_client(self) -> bool:
        return self.role == "client"


@dataclass
class Keys:
    """The issuer's public keys: from a file, or from an https address and then kept.

    An unknown key id leads to one more fetch, at most once in a while, or strangers could make us ask all day.
    A failed fetch keeps the keys that are known.
    """

    source: str
    issuer: str
    audience: str

    def __post_init__(self) -> None:
        self._known: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -float("inf")
        self._fetching = asyncio.Lock()

    async def verify(self, authorization: str | None) -> Caller:
        """The caller of an `Authorization: Bearer …` header. Raises Unauthenticated."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Send an access token in the header Authorization: Bearer <token>.")
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                issuer=self.issuer,
                audience=self.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub", "iss", "aud"]},
            )
            return Caller.model_validate(claims)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The access token has expired; get a new one from its issuer.") from None
        except jwt.PyJWTError:
            raise Unauthenticated("The access token is not one that this service trusts.") from None
        except ValidationError as error:
            names = ", ".join(".".join(map(str, e["loc"])) or e["msg"] for e in error.errors())
            raise Unauthenticated(f"The access token lacks a valid claim: {names}.") from None

    async def _key(self, kid: Any) -> jwt.PyJWK:
        if kid not in self._known:
            async with self._fetching:
                if kid not in self._known and time.monotonic() - self._fetched_at > REFETCH_SECONDS:
                    await self.fetch()
        if not self._known:
            raise Unavailable("The keys of the token issuer could not be fetched.")
        if kid not in self._known:
            raise jwt.InvalidKeyError
        return self._known[kid]

    async def fetch(self) -> None:
        """Read the key set. A failure is logged, and leaves what is known."""
        self._fetched_at = time.monotonic()
        try:
            if self.source.startswith("https://"):
                async with httpx.AsyncClient(timeout=5) as http:
                    document = (await http.get(self.source)).raise_for_status().text
            else:
                document = await asyncio.to_thread(Path(self.source).read_text)
            keys = jwt.PyJWKSet.from_json(document).keys
            usable = {key.key_id: key for key in keys if key.key_id and key.algorithm_name in ALGORITHMS}
            if not usable:
                raise ValueError("no key with an id and an algorithm of ours")
            self._known = usable
        except Exception as error:  # noqa: BLE001 — whatever the issuer sends, what is known stays
            log.error("keys_not_fetched", source=self.source, error=repr(error))
