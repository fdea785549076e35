"""How the orders of a day come in to the businesses that send from Unleashed: by phone and e-mail, or in the store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from masterops_dagster.simulator.world import shopify, shopify_orders, unleashed
from masterops_dagster.simulator.world.people import buyer
from masterops_dagster.simulator.world.records import Version
from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import Dice
from masterops_dagster.simulator.world.timeline import SECOND


def day(plan: Plan, business_key: str, day: date) -> Iterator[Version]:
    """The orders of a Melbourne day with all that becomes of them, and the customers who place their first."""
    account = unleashed.account_key(business_key)
    for key in unleashed.CHANNELS[business_key]:
        own = channel(key)
        trading = plan.trading(own)
        dice = Dice(plan.seed, key, day)
        moments = trading.moments(day, dice)
        new = list(trading.new(day))
        places = set(_scattered(len(moments), len(new), dice))
        for sequence, at in enumerate(moments):
            is_new = sequence in places
            who = buyer(plan, key, new.pop(0) if is_new else trading.returning(day, dice))
            online = shopify.buys_online(plan, who)
            if is_new:
                yield from unleashed.customer_versions(plan, account, who, at - 90 * SECOND)
                if online:
                    yield from shopify.customer_versions(plan, business_key, who, at - 90 * SECOND)
            number = plan.index(day) * plan.stride(own) + sequence
            if online and (is_new or dice.hits(shopify.SHARE_ONLINE[key])):
                yield from shopify_orders.order(plan, business_key, who, day, at, number, dice)
            else:
                yield from unleashed.wholesale_order(plan, account, business_key, who, day, at, number, dice)
    yield from shopify_orders.large_order(plan, business_key, day)
    yield from shopify_orders.abandoned(plan, business_key, day)


def _scattered(count: int, chosen: int, dice: Dice) -> list[int]:
    """Some of the places 0 … count - 1, without repeats."""
    places = list(range(count))
    return [places.pop(dice.whole(0, len(places) - 1)) for _ in range(min(chosen, count))]
