"""Secrets at rest, pure."""

import os
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sealed import CannotOpen, Seal, key_of


def key() -> str:
    return b64encode(os.urandom(32)).decode()


@given(st.text(), st.text())
def test_what_is_sealed_opens_again_about_the_same_thing_only(secret: str, about: str) -> None:
    seal = Seal([key()])
    closed = seal.close(secret, about=about)
    assert seal.open(closed, about=about) == secret
    with pytest.raises(CannotOpen):
        seal.open(closed, about=about + "x")


def test_a_changed_byte_or_a_strange_key_opens_nothing() -> None:
    seal = Seal([key()])
    closed = seal.close("secret", about="row")
    for at in range(len(closed)):
        with pytest.raises(CannotOpen):
            seal.open(closed[:at] + bytes([closed[at] ^ 1]) + closed[at + 1 :], about="row")
    with pytest.raises(CannotOpen):
        Seal([key()]).open(closed, about="row")


def test_after_a_rotation_the_new_key_closes_and_the_old_one_still_opens() -> None:
    old, new = key(), key()
    before = Seal([old]).close("secret", about="row")
    rotated = Seal([new, old])
    assert rotated.open(before, about="row") == "secret"
    assert Seal([new]).open(rotated.close("secret", about="row"), about="row") == "secret"


@pytest.mark.parametrize("text", ["", "short", "!" * 44, b64encode(bytes(31)).decode()])
def test_a_weak_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        key_of(text)


def test_a_mark_is_the_same_under_the_same_key_only() -> None:
    old, new = key(), key()
    assert Seal([old]).marks(b"x") == Seal([new, old]).marks(b"x")[1:]
    assert Seal([old]).marks(b"x") != Seal([old]).marks(b"y")
    assert Seal([]).marks(b"x") == []
