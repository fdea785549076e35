"""When the simulated businesses trade."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from masterops_dagster.businesses import MELBOURNE
from masterops_dagster.simulator.world.books.common import plain_abn
from masterops_dagster.simulator.world.people import buyer, make_abn
from masterops_dagster.simulator.world.records import moment
from masterops_dagster.simulator.world.rhythm import CHANNELS, Plan, channel, first_day
from masterops_dagster.simulator.world.seeding import Dice

PLAN = Plan(seed=1, scale=1.0, start=date(2026, 11, 24))
SHOP = PLAN.trading(channel("red_hill_shop"))


def local_times(day: date) -> list[datetime]:
    return [moment(at).astimezone(MELBOURNE) for at in SHOP.moments(day, Dice("test", day))]


def test_history_begins_fifteen_months_before_the_world_was_made() -> None:
    assert first_day(date(2026, 11, 24)) == date(2025, 8, 1)
    assert first_day(date(2027, 1, 31)) == date(2025, 10, 1)


@pytest.mark.parametrize("offset", range(0, 400, 13))
def test_all_orders_of_a_day_fall_on_that_day_in_melbourne(offset: int) -> None:
    day = PLAN.first + timedelta(days=offset)
    assert {at.date() for at in local_times(day)} == {day}


def test_the_hour_that_comes_twice_has_orders_both_times() -> None:
    at_half_past_two = [at for at in local_times(date(2026, 4, 5)) if (at.hour, at.minute) == (2, 30)]
    assert [at.utcoffset() for at in at_half_past_two] == [timedelta(hours=11), timedelta(hours=10)]


def test_the_hour_that_is_left_out_has_no_orders() -> None:
    assert all(at.hour != 2 for at in local_times(date(2026, 10, 4)))


@pytest.mark.parametrize("day", [date(2026, 4, 4), date(2026, 4, 5), date(2026, 10, 3), date(2026, 10, 4)])
def test_orders_come_in_at_half_past_eleven_at_night_around_daylight_saving(day: date) -> None:
    assert any((at.hour, at.minute) == (23, 30) for at in local_times(day))


def test_wholesale_rests_on_weekends_and_the_shop_does_not() -> None:
    wholesale = PLAN.trading(channel("elevate_wholesale"))
    days = [PLAN.first + timedelta(days=n) for n in range(364)]
    weekend = [day for day in days if day.weekday() > 4]
    assert sum(map(wholesale.orders, weekend)) < 0.1 * sum(map(wholesale.orders, days))
    assert sum(map(SHOP.orders, weekend)) > 0.15 * sum(map(SHOP.orders, days))


@pytest.mark.parametrize("key", [own.key for own in CHANNELS])
def test_business_grows(key: str) -> None:
    own = channel(key)
    trading = Plan(seed=1, scale=50.0, start=date(2026, 11, 24)).trading(own)
    may = [sum(trading.orders(date(year, 5, 1) + timedelta(days=n)) for n in range(28)) for year in (2026, 2027)]
    assert may[1] / may[0] == pytest.approx(own.growth, abs=0.08)


def test_every_customer_joins_on_the_day_that_says_so() -> None:
    for day in (PLAN.first, PLAN.first + timedelta(days=100), PLAN.first + timedelta(days=399)):
        assert {SHOP.joined(customer) for customer in SHOP.new(day)} <= {day}
    assert SHOP.joined(0) < PLAN.first


def test_a_day_does_not_depend_on_which_days_were_asked_before() -> None:
    late_first = Plan(seed=3, scale=1.0, start=date(2026, 11, 24)).trading(channel("teelixir_shop"))
    day = PLAN.first + timedelta(days=300)
    assert late_first.new(day) == Plan(3, 1.0, date(2026, 11, 24)).trading(channel("teelixir_shop")).new(day)
    assert SHOP.moments(day, Dice("a")) == SHOP.moments(day, Dice("a"))


def test_abns_pass_the_tax_offices_check() -> None:
    for number in range(200):
        abn = make_abn(Dice("abn", number))
        assert plain_abn(abn) == abn
    assert plain_abn("51 824 753 556") == "51824753556"
    assert plain_abn("51 824 753 557") is None


def test_a_fifth_of_elevates_companies_buy_from_teelixir_too() -> None:
    shared = [n for n in range(300) if buyer(PLAN, "elevate_wholesale", n).home[0] == "teelixir_wholesale"]
    assert 40 < len(shared) < 90
    twin = buyer(PLAN, "elevate_wholesale", shared[0])
    assert twin.abn == buyer(PLAN, *twin.home).abn
