"""The days on which the bank is closed, as people have put them right."""

from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.directdebit.rules.calendar import BankDays, name_of
from services.directdebit.tables.mandates import BankHoliday
from shared.database import Db


async def put_right(db: Db, day: date, *, closed: bool, name: str) -> None:
    """The bank is closed on this day, or open, whatever the calendar says."""
    row = insert(BankHoliday).values(business_id=db.context.business_id, holiday_date=day, closed=closed, name=name)
    said = {"closed": closed, "name": name}
    await db.execute(row.on_conflict_do_update(index_elements=["business_id", "holiday_date"], set_=said))


async def of_year(db: Db, year: int) -> list[tuple[date, bool, str]]:
    """The holidays of a year: day, whether the bank is closed, name."""
    rows = await db.execute(select(BankHoliday.holiday_date, BankHoliday.closed, BankHoliday.name))
    said = {day: (day, closed, name) for day, closed, name in rows if day.year == year}
    calendar = BankDays(db.business.currency)
    weekdays = (date(year, 1, 1) + timedelta(days=count) for count in range(366))
    listed = {
        day: (day, True, name_of(db.business.currency, day))
        for day in weekdays
        if day.year == year and day.weekday() < 5 and not calendar.is_open(day)
    }
    return sorted((listed | said).values())
