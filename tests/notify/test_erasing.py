"""A client is erased: what they were told says nothing any more, and nothing that comes later names them."""

import pytest

from shared.events.billing import CollectionFailed, InvoiceIssued
from shared.events.catalog import ERASED_CLIENT, ClientChanged
from tests.harness.terms import sold
from tests.notify.conftest import Post
from tests.notify.letters import failed, invoiced

pytestmark = pytest.mark.servers


def erased(post: Post) -> ClientChanged:
    neutral = {"name": ERASED_CLIENT, "email": None, "active": False, "erased": True}
    return ClientChanged(client_id=post.client_id, sequence=3, **neutral)


async def test_what_was_written_says_nothing_and_is_not_told_again(post: Post) -> None:
    news = sold(post.client_id), CollectionFailed.model_validate(failed(post.client_id))
    claim = CollectionFailed.model_validate(failed(post.client_id, what="claimed"))
    await post.hear(*news, claim)
    assert len(await post.settled()) == 4
    await post.hear(erased(post), erased(post))
    await post.hear(*news, claim, post.ana(post.address, sequence=2))
    messages = await post.settled()
    assert [(m["state"], m["address"], m["subject"], m["body"]) for m in messages] == [("sent", None, "", "")] * 4
    assert {message["reason"] for message in messages} == {"the client is erased"}
    assert len(post.mail()) == 2


async def test_what_waits_does_not_go_out_and_what_comes_later_names_nobody(post: Post) -> None:
    await post.hear(sold(post.client_id), erased(post), post.ana(post.address, sequence=2))
    await post.hear(CollectionFailed.model_validate(failed(post.client_id)))
    await post.hear(InvoiceIssued.model_validate(invoiced(post.client_id)))
    to_them = [message for message in await post.settled() if message["recipient"] != "business"]
    assert [(m["state"], m["body"], m["reason"]) for m in to_them] == [("skipped", "", "the client is erased")] * 3
    (to_staff,) = [message for message in await post.messages() if message["recipient"] == "business"]
    assert ERASED_CLIENT in to_staff["body"]
    assert post.mail() == []
