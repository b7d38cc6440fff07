"""A token is believed for its signature and its claims, or not at all; and the answer does not help to forge one."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from shared.auth import LEEWAY_SECONDS, REFETCH_SECONDS, Keys
from shared.errors import Unauthenticated, Unavailable
from shared.ids import new_id

PRIVATE: dict[str, Any] = {
    "RS256": rsa_key(65537, 2048),
    "ES256": ec_key(SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate(),
}
AS_JWK: dict[str, Callable[[Any], dict[str, Any]]] = {
    "RS256": lambda key: RSAAlgorithm.to_jwk(key, as_dict=True),
    "ES256": lambda key: ECAlgorithm.to_jwk(key, as_dict=True),
    "EdDSA": lambda key: OKPAlgorithm.to_jwk(key, as_dict=True),
}
PUBLIC = {name: AS_JWK[name](key.public_key()) | {"kid": name, "alg": name} for name, key in PRIVATE.items()}
BUSINESS, CLIENT = new_id(), new_id()


class Issuer:
    """What the issuer makes public."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.shows(*PUBLIC)

    def shows(self, *names: str) -> None:
        self.says(json.dumps({"keys": [PUBLIC[name] for name in names]}))

    def says(self, document: str) -> None:
        self.file.write_text(document)

    def is_away(self) -> None:
        self.file.unlink()


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


@pytest.fixture
def keys(issuer: Issuer) -> Keys:
    return Keys(str(issuer.file), "the-issuer", "punchcard")


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, instants in seconds from now; a change to None leaves one out."""
    good: dict[str, Any] = {
        "iss": "the-issuer",
        "aud": "punchcard",
        "iat": 0,
        "exp": 60,
        "sub": "owner",
        "business_id": str(BUSINESS),
        "role": "staff",
        "permissions": ["booking.manage"],
    }
    now, said = int(time.time()), {name: value for name, value in (good | changes).items() if value is not None}
    return said | {name: now + said[name] for name in ("iat", "nbf", "exp") if isinstance(said.get(name), int)}


def token(said: dict[str, Any] | None = None, *, by: str = "EdDSA", **header: Any) -> str:
    return jwt.encode(said or claims(), PRIVATE[by], algorithm=by, headers={"kid": by} | header)


async def refused(keys: Keys, forged: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as raised:
        await keys.verify(f"Bearer {forged}")
    return raised.value


@pytest.mark.parametrize("by", PRIVATE)
async def test_a_good_token_says_who_is_asking(keys: Keys, by: str) -> None:
    caller = await keys.verify(f"Bearer {token(by=by)}")
    assert (caller.business_id, caller.actor) == (BUSINESS, "staff:owner")
    assert caller.permissions == {"booking.manage"}
    assert not caller.is_client


async def test_a_client_is_somebody(keys: Keys) -> None:
    caller = await keys.verify(f"bearer {token(claims(role='client', client_id=str(CLIENT)))}")
    assert caller.client_id == CLIENT
    assert caller.is_client


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic b3duZXI6", "Bearer a b", "owner"])
async def test_without_a_token_the_answer_says_what_to_send(keys: Keys, header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await keys.verify(header)


@pytest.mark.parametrize("name", ["iss", "aud", "iat", "exp", "sub", "business_id", "role"])
async def test_a_token_that_leaves_a_claim_out_is_refused(keys: Keys, name: str) -> None:
    assert (await refused(keys, token(claims(**{name: None})))).status == 401


@pytest.mark.parametrize(
    "change",
    [
        {"exp": -LEEWAY_SECONDS - 5},
        {"iat": LEEWAY_SECONDS + 20, "exp": 120},
        {"nbf": LEEWAY_SECONDS + 20, "exp": 120},
        {"iss": "another-issuer"},
        {"aud": "another-audience"},
        {"aud": ["another-audience"]},
        {"exp": "tomorrow"},
        {"sub": 7},
        {"business_id": "all"},
        {"role": "root"},
        {"role": "client"},
        {"role": "client", "client_id": "me"},
        {"role": "staff", "client_id": str(CLIENT)},
        {"permissions": "booking.manage"},
        {"permissions": [{"booking": "manage"}]},
    ],
    ids=range(15),
)
async def test_a_token_with_a_wrong_claim_is_refused(keys: Keys, change: dict[str, Any]) -> None:
    await refused(keys, token(claims(**change)))


async def test_a_clock_that_is_a_little_off_is_forgiven(keys: Keys) -> None:
    await keys.verify(f"Bearer {token(claims(iat=20, exp=40))}")
    await keys.verify(f"Bearer {token(claims(exp=-20))}")


async def test_a_token_without_a_signature_is_refused(keys: Keys) -> None:
    head, body, _ = token().split(".")
    for unsigned in (
        head,
        _part({"alg": "none", "typ": "JWT", "kid": "RS256"}),
        _part({"alg": "None", "kid": "EdDSA"}),
    ):
        await refused(keys, f"{unsigned}.{body}.")


async def test_the_public_key_is_no_shared_secret(keys: Keys) -> None:
    """The old trick: an HMAC keyed with what everybody may know."""
    pem = PRIVATE["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, json.dumps(PUBLIC["RS256"]).encode()):
        head = _part({"alg": "HS256", "typ": "JWT", "kid": "RS256"})
        signed = jwt.get_algorithm_by_name("HS256").sign(f"{head}.{_part(claims())}".encode(), secret)
        await refused(keys, f"{head}.{_part(claims())}.{urlsafe_b64encode(signed).decode().rstrip('=')}")


async def test_a_key_is_used_with_its_own_algorithm_only(keys: Keys) -> None:
    await refused(keys, token(by="ES256", kid="RS256"))
    head, body, signature = token(by="RS256").split(".")
    header = json.loads(urlsafe_b64decode(head + "=="))
    await refused(keys, f"{_part(header | {'alg': 'RS512'})}.{body}.{signature}")


async def test_a_token_that_was_changed_is_refused(keys: Keys) -> None:
    head, _, signature = token().split(".")
    await refused(keys, f"{head}.{_part(claims(permissions=['debit.process']))}.{signature}")


@pytest.mark.parametrize("forged", ["x", "x.y.z", "a.b.c.d", "é.é.é", "." * 500, "e30.e30.e30", "\0"])
async def test_what_is_no_token_at_all_is_refused(keys: Keys, forged: str) -> None:
    await refused(keys, forged)


@pytest.mark.parametrize("kid", [7, ["EdDSA"], {"a": 1}, "../../etc/passwd"])
async def test_a_strange_key_id_is_refused(keys: Keys, kid: object) -> None:
    head = _part({"alg": "EdDSA", "typ": "JWT", "kid": kid})
    _, body, signature = token().split(".")
    await refused(keys, f"{head}.{body}.{signature}")


async def test_the_answer_repeats_nothing_of_the_token(keys: Keys) -> None:
    secret = "do-not-repeat-me"
    for change in ({"business_id": secret}, {"role": secret}, {"permissions": [{secret: 1}]}, {"aud": secret}):
        problem = await refused(keys, token(claims(sub=secret, **change)))
        assert secret not in f"{problem} {problem.detail} {problem.members}"


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("shared.auth.time", self)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each time that the key set was read."""
    read: list[str] = []
    fetch = Keys.fetch

    async def noted(self: Keys) -> None:
        read.append(self.source)
        await fetch(self)

    monkeypatch.setattr(Keys, "fetch", noted)
    return read


async def test_strangers_cannot_make_us_fetch_all_day(
    keys: Keys, fetches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    for number in range(50):
        await refused(keys, token(kid=f"stranger-{number}"))
    assert len(fetches) == 1
    clock.now += REFETCH_SECONDS + 1
    await refused(keys, token(kid="stranger"))
    await keys.verify(f"Bearer {token()}")
    assert len(fetches) == 2


async def test_a_new_key_of_the_issuer_is_found(keys: Keys, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    issuer.shows("RS256")
    await refused(keys, token(by="EdDSA"))
    issuer.shows("EdDSA")
    clock.now += REFETCH_SECONDS + 1
    await keys.verify(f"Bearer {token(by='EdDSA')}")
    await refused(keys, token(by="RS256"))


NOT_KEYS = [
    "",
    "{",
    "[]",
    "7",
    "null",
    "{}",
    '{"keys": []}',
    '{"keys": 7}',
    '{"keys": [7]}',
    '{"keys": [{"kty": "x"}]}',
]


@pytest.mark.parametrize(
    "document", [*NOT_KEYS, json.dumps({"keys": [PUBLIC["EdDSA"] | {"kid": None}]})], ids=range(11)
)
async def test_a_fetch_that_fails_keeps_the_keys_that_are_known(
    keys: Keys, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    clock = Clock(monkeypatch)
    await keys.verify(f"Bearer {token()}")
    issuer.says(document)
    clock.now += REFETCH_SECONDS + 1
    await refused(keys, token(kid="new"))
    await keys.verify(f"Bearer {token()}")


async def test_without_any_key_the_service_cannot_tell(keys: Keys, issuer: Issuer) -> None:
    issuer.is_away()
    with pytest.raises(Unavailable):
        await keys.verify(f"Bearer {token()}")


def _part(said: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")
