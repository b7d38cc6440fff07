"""The bank's days: which are bank days, how a practice clock moves, and what each day brings."""

from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from deploy.practice_bank.days import bank_days_after, is_bank_day, rolled_forward
from tests.deploy.practice_bank.creditor import Creditor, Receiver, date_of, eventually


@pytest.mark.parametrize(
    ("currency", "year", "holidays"),
    [
        # What the central bank of Australia lists for 2026; Anzac Day is a Saturday and is not made up for.
        (
            "AUD",
            2026,
            {"2026-01-01", "2026-01-26", "2026-04-03", "2026-04-06", "2026-06-08", "2026-12-25", "2026-12-28"},
        ),
        (
            "GBP",
            2023,
            {
                *("2023-01-02", "2023-04-07", "2023-04-10", "2023-05-01", "2023-05-08", "2023-05-29", "2023-08-28"),
                *("2023-12-25", "2023-12-26"),
            },
        ),
        (
            "USD",
            2024,
            {
                *("2024-01-01", "2024-01-15", "2024-02-19", "2024-05-27", "2024-06-19", "2024-07-04", "2024-09-02"),
                *("2024-10-14", "2024-11-11", "2024-11-28", "2024-12-25"),
            },
        ),
    ],
)
def test_the_banks_rest_at_weekends_and_on_their_holidays(currency: str, year: int, holidays: set[str]) -> None:
    days = [
        date.fromordinal(number) for number in range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())
    ]
    at_rest = {day for day in days if not is_bank_day(day, currency)}
    assert {day for day in days if day.weekday() > 4} <= at_rest
    assert {day.isoformat() for day in at_rest if day.weekday() <= 4} == holidays


def test_a_holiday_of_one_state_alone_is_a_bank_day() -> None:
    melbourne_cup, labour_day_in_sydney = date(2022, 11, 1), date(2022, 10, 3)
    assert is_bank_day(melbourne_cup, "AUD")
    assert is_bank_day(labour_day_in_sydney, "AUD")
    assert not is_bank_day(date(2022, 2, 7), "NZD"), "Waitangi Day, made up for on the Monday"


def test_bank_days_are_counted_over_easter() -> None:
    assert bank_days_after(date(2026, 4, 1), 3, "AUD") == date(2026, 4, 8)
    assert rolled_forward(date(2026, 4, 3), "AUD") == date(2026, 4, 7)
    assert rolled_forward(date(2026, 4, 8), "AUD") == date(2026, 4, 8)


def test_a_charge_date_rolls_forward_to_a_bank_day(studio: Creditor) -> None:
    for asked, shown in (("2022-09-13", "2022-09-13"), ("2022-09-17", "2022-09-19"), ("2022-12-24", "2022-12-28")):
        assert studio.pay("d-1", charge_date=asked).json()["payments"]["charge_date"] == shown


def test_a_charge_date_that_is_over_is_refused(studio: Creditor) -> None:
    refused = studio.pay("d-1", charge_date="2022-09-12")
    assert (refused.status_code, refused.json()["error"]["type"]) == (422, "validation_failed")
    (error,) = refused.json()["error"]["errors"]
    assert (error["field"], error["request_pointer"]) == ("charge_date", "/payments/charge_date")


def test_the_date_is_that_of_the_zone_in_which_the_clock_is_given(http: httpx.Client, receiver: Receiver) -> None:
    early = Creditor(http, receiver.url, now="2022-09-13T08:00:00+10:00")
    assert early.pay("d-1", charge_date="2022-09-12").status_code == 422, "it is the 13th in Sydney, the 12th in UTC"
    late = Creditor(http, receiver.url, now="2022-09-12T22:00:00+00:00")
    assert late.pay("d-1", charge_date="2022-09-12").status_code == 201


def test_a_payment_is_confirmed_after_two_bank_days_and_paid_out_after_one_more(studio: Creditor) -> None:
    studio.behave("collects")
    payment = studio.pay("d-1", charge_date="2022-09-15").json()["payments"]["id"]

    studio.live_until("2022-09-18")
    assert studio.status(payment) == "submitted", "the Friday was one bank day, Monday will be the second"
    studio.live_until("2022-09-19")
    assert studio.status(payment) == "confirmed"
    studio.live_until("2022-09-20")

    assert studio.history(payment) == [
        ("created", "2022-09-13"),
        ("submitted", "2022-09-13"),
        ("confirmed", "2022-09-19"),
        ("paid_out", "2022-09-20"),
    ]


def test_a_jump_takes_each_step_on_its_own_date_and_all_in_order(studio: Creditor, receiver: Receiver) -> None:
    studio.behave("collects")
    later = studio.pay("later", charge_date="2022-09-14").json()["payments"]["id"]
    sooner = studio.paid("sooner")

    studio.live_until("2022-09-21")

    told = [
        (event["resource_metadata"]["debit_id"], event["action"], date_of(event))
        for event in receiver.events()
        if event["action"] != "submitted"
    ]
    assert told == [
        ("sooner", "confirmed", "2022-09-15"),
        ("later", "confirmed", "2022-09-16"),
        ("sooner", "paid_out", "2022-09-16"),
        ("later", "paid_out", "2022-09-19"),
    ]
    assert [studio.status(payment) for payment in (sooner, later)] == ["paid_out", "paid_out"]
    times = [event["created_at"] for event in receiver.events()]
    assert times == sorted(set(times))
    confirmed = next(event for event in receiver.events() if event["action"] == "confirmed")
    assert confirmed["created_at"].startswith("2022-09-14T22:00:00"), "eight in the morning in Sydney"


def test_day_by_day_ends_as_a_jump_does(http: httpx.Client, receiver: Receiver) -> None:
    histories = []
    for days in ([f"2022-09-{day}" for day in range(14, 29)], ["2022-09-28"]):
        studio = Creditor(http, receiver.url)
        for scenario in ("collects", "late_return", "account_closed"):
            studio.behave(scenario)
            studio.pay(scenario, charge_date="2022-09-14")
        for day in days:
            studio.live_until(day)
        histories.append([studio.history(payment["id"]) for payment in studio.log()])
    assert histories[0] == histories[1]


def test_a_clock_only_moves_forward(studio: Creditor, http: httpx.Client) -> None:
    assert studio.put_clock("2022-09-13T07:59:59+10:00").status_code == 409
    assert studio.put_clock("2022-09-14T08:00:00").status_code == 422, "an instant needs a zone"
    assert studio.put_clock("2022-09-13T08:00:00+10:00").status_code == 200, "where it stands already"
    moved = studio.put_clock("2022-09-14T08:00:00+10:00")
    assert moved.json()["creditors"]["now"] == "2022-09-14T08:00:00+10:00"
    clock = {"now": "2022-09-14T08:00:00+10:00"}
    assert http.put("/practice/creditors/CR0/clock", json=clock).status_code == 404


def test_a_creditor_in_real_time_has_no_clock_to_move(http: httpx.Client, receiver: Receiver) -> None:
    studio = Creditor(http, receiver.url, now=None)
    refused = studio.put_clock("2099-09-14T08:00:00+10:00")
    assert (refused.status_code, refused.json()["error"]["errors"][0]["reason"]) == (409, "clock_refused")
    assert studio.pay("d-1").status_code == 422, "2022 is over"
    assert studio.pay("d-1", charge_date="2099-01-05").status_code == 201


def test_in_real_time_a_charge_date_may_be_today_west_of_utc(http: httpx.Client, receiver: Receiver) -> None:
    studio = Creditor(http, receiver.url, now=None)
    today = datetime.now(UTC).date()
    taken = {days: studio.pay("d-1", charge_date=f"{today - timedelta(days)}").status_code for days in (0, 1, 3)}
    assert taken == {0: 201, 1: 201, 3: 422}


def test_creditors_are_found_by_their_own_name_without_their_secrets(studio: Creditor, http: httpx.Client) -> None:
    answer = http.get("/practice/creditors", params={"reference": studio.reference})
    (found,) = answer.json()["creditors"]
    assert (found["id"], found["now"], found["today"]) == (studio.id, "2022-09-13T08:00:00+10:00", "2022-09-13")
    assert studio.token not in answer.text
    assert "secret" not in answer.text
    assert http.get("/practice/creditors", params={"reference": "nobody"}).json() == {"creditors": []}
    assert studio.id in {each["id"] for each in http.get("/practice/creditors").json()["creditors"]}


def test_one_creditor_s_days_are_not_another_s(studio: Creditor, http: httpx.Client, receiver: Receiver) -> None:
    other = Creditor(http, receiver.url)
    for each in (studio, other):
        each.behave("collects")
    mine, theirs = studio.paid("d-1"), other.paid("d-1")

    studio.live_until("2022-09-15")

    assert (studio.status(mine), other.status(theirs)) == ("confirmed", "submitted")


def test_what_a_person_decided_by_hand_is_not_decided_again(studio: Creditor) -> None:
    studio.behave("collects")
    payment = studio.paid("d-1")
    studio.decide(payment, "decline")
    studio.live_until("2022-09-30")
    assert [action for action, _ in studio.history(payment)] == ["created", "submitted", "failed"]


def test_the_log_and_the_callbacks_can_be_those_of_one_creditor(
    studio: Creditor, http: httpx.Client, receiver: Receiver
) -> None:
    other = Creditor(http, receiver.url)
    mine, _ = studio.paid("d-1"), other.paid("d-2")
    eventually(studio.all_sent)

    assert [payment["id"] for payment in studio.log()] == [mine]
    for filters in ({"creditor": studio.id}, {"reference": studio.reference}):
        answer = http.get("/practice/callbacks", params=filters).json()
        assert {callback["links"]["creditor"] for callback in answer["callbacks"]} == {studio.id}
        assert answer["meta"]["count"] == 1


def test_the_page_shows_the_date_and_the_scenario(studio: Creditor) -> None:
    studio.behave("late_return")
    studio.paid("d-1")
    page = studio.http.get("/").text
    for shown in ("Harbour Studio: Tuesday 13 September 2022, 08:00", "late_return", "the next one: collects"):
        assert shown in page
