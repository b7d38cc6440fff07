"""Who sees what of billing."""

import pytest

from shared.ids import new_id
from tests.billing.desk import FORTNIGHTLY, Studio

pytestmark = pytest.mark.servers


async def test_clients_see_what_they_pay_and_what_is_for_them(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    await studio.owed()
    paths = (f"invoices/{issued.invoice_id}", f"packages/{issued.package_id}/billing")
    for reader, status, count in ((studio.client_id, 200, 2), (studio.payer_id, 200, 2), (new_id(), 404, 0)):
        async with studio.billing.http(studio.billing.issuer.client(studio.business_id, reader)) as http:
            assert [(await http.get(path)).status_code for path in paths] == [status] * 2
            assert len((await http.get("invoices")).json()["items"]) == count
            assert (await http.get("journal")).status_code == 403


async def test_another_business_sees_nothing(studio: Studio) -> None:
    issued = await studio.owed(**FORTNIGHTLY)
    other = studio.billing.issuer.staff(await studio.billing.business())
    async with studio.billing.http(other) as http:
        assert (await http.get(f"invoices/{issued.invoice_id}")).status_code == 404
        assert (await http.get(f"packages/{issued.package_id}/billing")).status_code == 404
        assert (await http.get("invoices")).json()["items"] == []
        assert (await http.get("journal")).json()["items"] == []


async def test_staff_need_the_permission(studio: Studio) -> None:
    token = studio.billing.issuer.staff(studio.business_id, permissions=["booking.manage"])
    async with studio.billing.http(token) as http:
        for path in ("invoices", f"invoices/{new_id()}", f"packages/{new_id()}/billing", "journal"):
            assert (await http.get(path)).status_code == 403


async def test_invoices_come_in_pages_by_package_and_by_client(studio: Studio) -> None:
    sold = [(await studio.owed()).package_id for _ in range(3)]
    first = await studio.read("invoices", limit=2)
    rest = await studio.read("invoices", limit=2, cursor=first["next_cursor"])
    assert [invoice["number"] for invoice in first["items"] + rest["items"]] == [1, 2, 3]
    assert rest["next_cursor"] is None
    (found,) = (await studio.read("invoices", package_id=sold[1], client_id=studio.client_id))["items"]
    assert found["number"] == 2
    assert (await studio.read("invoices", client_id=new_id()))["items"] == []
