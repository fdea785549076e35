"""What a Shopify store holds apart from its orders: locations, products with variants, customers.

Bodies are what the Admin API's GraphQL objects would be if every connection were a plain list. Teelixir's store sells
to people at prices with tax, Elevate Wholesale's to companies at prices without.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from masterops_dagster.simulator.world import stock
from masterops_dagster.simulator.world.catalogue import FORMS, MUSHROOMS, Article, articles
from masterops_dagster.simulator.world.people import Buyer, buyer
from masterops_dagster.simulator.world.records import FOREVER, Body, Version, iso
from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import TENTH_OF_A_MILL, Dice, cents, chance
from masterops_dagster.simulator.world.timeline import office, versions, wall

STORES = ("teelixir", "elevate_wholesale")
"""The businesses that have a store; what is numbered in Shopify has the store's place in it."""

CHANNELS = {"teelixir": "teelixir_shop", "elevate_wholesale": "elevate_wholesale"}
"""The channel whose orders, or some of them, come in through the store."""

SHARE_ONLINE = {"teelixir_shop": 1.0, "elevate_wholesale": 0.75, "teelixir_wholesale": 0.0}
"""Which share of their orders those customers place in the store who have an account there at all."""

GIFT_CARDS = (25, 50, 100)
RETAIL_TAX = Decimal("1.1")
WHOLESALE_SHARE = Decimal("0.58")


def account_key(business_key: str) -> str:
    return f"shopify_{business_key}"


def store_place(business_key: str) -> int:
    return STORES.index(business_key)


def stamp(at: int) -> str:
    """`2026-03-01T12:30:00Z`, as Shopify writes a moment."""
    return iso(at)[:19] + "Z"


def amount(value: Decimal) -> str:
    """An amount as Shopify writes it: `12.55`, `12.5`, `12.0`."""
    text = str(value)
    return text[:-1] if text[-1] == "0" and text[-3:-2] == "." else text


def money(value: Decimal) -> Body:
    return {"amount": amount(value), "currencyCode": "AUD"}


def bag(value: Decimal) -> Body:
    """An amount in the shop's currency."""
    return {"shopMoney": {"amount": amount(value), "currencyCode": "AUD"}}


def gid(kind: str, number: int) -> str:
    return f"gid://shopify/{kind}/{number}"


def retail_price(article: Article, price: Decimal) -> Decimal:
    """What people pay for an article of that price ex tax."""
    return cents(price * RETAIL_TAX) if article.taxed else price


def wholesale_price(price: Decimal) -> Decimal:
    return cents((price * WHOLESALE_SHARE).quantize(TENTH_OF_A_MILL, ROUND_HALF_UP))


# ---- numbers


def product_number(article: Article) -> int:
    place = store_place(article.business_key)
    own = article.number // len(FORMS) if place == 0 else article.number
    return 9_000_000_000 + place * 1_000_000 + own


def variant_number(article: Article) -> int:
    return 40_000_000_000 + store_place(article.business_key) * 1_000_000 + article.number


def item_number(variant: int) -> int:
    """The inventory item of a variant."""
    return variant + 10_000_000_000


def gift_card_variant(value: int) -> int:
    return 40_000_900_000 + value


GIFT_CARD_PRODUCT = 9_000_900_000


def customer_number(who: Buyer) -> int:
    """The number of a customer, the same that the CRM keeps."""
    return (7_000_000_000 if who.channel == "teelixir_shop" else 8_000_000_000) + who.number


def buys_online(plan: Plan, who: Buyer) -> bool:
    """Whether a customer of a channel has an account in the store."""
    if who.channel == "teelixir_shop":
        return True
    return who.channel == "elevate_wholesale" and chance(plan.seed, who.channel, who.number, "online") < 0.5


# ---- what is there when history begins


def base(plan: Plan, business_key: str) -> Iterator[Version]:
    """Locations, products, and the customers from before history."""
    account = account_key(business_key)
    opening = wall(plan.first - timedelta(days=1200), 9)
    places = [(number, name, True) for number, name in stock.LOCATIONS[account]]
    if business_key == "teelixir":
        places.append((61_000_000_009, "Markets", False))
    for number, name, active in places:
        id = gid("Location", number)
        body: Body = {
            "id": id,
            "name": name,
            "isActive": active,
            "fulfillsOnlineOrders": active,
            "createdAt": stamp(opening),
            "updatedAt": stamp(opening),
        }
        yield from versions(account, "locations", id, number, [(opening, body)])
    yield from _products(plan, business_key, account)
    key = CHANNELS[business_key]
    for k in range(plan.trading(channel(key)).known(plan.first - timedelta(days=1))):
        who = buyer(plan, key, k)
        if buys_online(plan, who):
            yield from customer_versions(plan, business_key, who, wall(who.joined, 10, k % 60))


# ---- customers


def customer_versions(plan: Plan, business_key: str, who: Buyer, created: int) -> Iterator[Version]:
    """A customer; some have no e-mail, some correct theirs later.

    How much they bought is what the store knew when it last touched the record.
    """
    dice = Dice(plan.seed, account_key(business_key), who.number, "customer")
    number = customer_number(who)
    email = who.email if dice.hits(0.97) else None
    corrected = dice.hits(0.03)
    orders = dice.whole(0, 9)
    body: Body = {
        "id": gid("Customer", number),
        "legacyResourceId": str(number),
        "createdAt": stamp(created),
        "updatedAt": stamp(created),
        "firstName": who.first_name,
        "lastName": who.last_name if dice.hits(0.97) else None,
        "defaultEmailAddress": _email_address(email, dice) if email is not None else None,
        "defaultPhoneNumber": {"phoneNumber": who.phone.replace(" ", "")} if who.phone and dice.hits(0.7) else None,
        "state": dice.one(("ENABLED", "ENABLED", "DISABLED", "INVITED")),
        "taxExempt": dice.hits(0.01),
        "numberOfOrders": str(orders),
        "amountSpent": money(cents(orders * Decimal(dice.whole(1_500, 24_000)) / 100)),
        "defaultAddress": address(who) if dice.hits(0.95) else None,
        "tags": list(dice.one(((), (), ("vip",), ("newsletter", "welcome series")))),
        "note": dice.one((None, None, None, "Leave at the door", "")),
    }
    states = [(created, body)]
    if corrected and email is not None:
        at = office(created, dice.whole(2, 200), dice)
        states[0] = (created, {**body, "defaultEmailAddress": _email_address(f"x{email}", dice)})
        states.append((at, {**body, "updatedAt": stamp(at)}))
    elif dice.hits(0.06):
        at = office(created, dice.whole(2, 300), dice)
        states.append((at, {**body, "updatedAt": stamp(at), "tags": [*body["tags"], "stocktake sale"]}))
    yield from versions(account_key(business_key), "customers", body["id"], number, states)


def address(who: Buyer) -> Body:
    return {
        "firstName": who.first_name,
        "lastName": who.last_name,
        "company": who.company,
        "address1": who.street,
        "city": who.suburb,
        "provinceCode": who.state,
        "zip": who.postcode,
        "countryCodeV2": "AU",
        "phone": who.phone,
    }


def company(who: Buyer, dice: Dice) -> Body:
    """The buyer of a wholesale order: a company, one of its places, and who acted for it."""
    return {
        "company": {"id": gid("Company", 1_000_000 + who.number), "name": who.company},
        "location": {"id": gid("CompanyLocation", 2_000_000 + who.number), "name": who.suburb},
        "contact": {"id": gid("CompanyContact", 3_000_000 + who.number)} if dice.hits(0.95) else None,
    }


def _email_address(email: str, dice: Dice) -> Body:
    state = dice.one(("SUBSCRIBED", "NOT_SUBSCRIBED", "UNSUBSCRIBED", "PENDING"))
    return {"emailAddress": email, "marketingState": state}


# ---- products


def _products(plan: Plan, business_key: str, account: str) -> Iterator[Version]:
    families: dict[int, list[Article]] = {}
    for article in articles(plan, business_key):
        if article.sellable:
            families.setdefault(product_number(article), []).append(article)
    for number, family in families.items():
        yield from _product(plan, account, number, family)
    if business_key == "teelixir":
        yield from _gift_card(plan, account)


def _product(plan: Plan, account: str, number: int, family: list[Article]) -> Iterator[Version]:
    """A product with each move of its variants' prices; gone where its last variant is removed."""
    retail = family[0].business_key == "teelixir"
    first = family[0]
    title = MUSHROOMS[first.number // len(FORMS)] if retail else first.name
    days = {day for article in family for day in (article.created, *article.moves(plan.first))}
    days |= {article.obsolete_from for article in family if article.obsolete_from is not None}
    days |= {article.removed_on for article in family if article.removed_on is not None}
    created = wall(min(article.created for article in family), 1)
    states: list[tuple[int, Body]] = []
    gone = FOREVER
    for day in sorted(days):
        own = [a for a in family if a.created <= day and (a.removed_on is None or day < a.removed_on)]
        since = wall(day, 1)
        if not own:
            gone = since
            break
        withdrawn = all(a.obsolete_from is not None and a.obsolete_from <= day for a in own)
        body: Body = {
            "id": gid("Product", number),
            "title": title,
            "handle": "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split()),
            "vendor": "Teelixir" if retail else first.group,
            "productType": "Superfoods" if retail else "Wholesale",
            "status": "ARCHIVED" if withdrawn else "ACTIVE",
            "publishedAt": None if withdrawn else stamp(created),
            "tags": ["mushroom"] if retail else [],
            "createdAt": stamp(created),
            "updatedAt": stamp(since),
            "variants": [_variant(plan, a, day, place, retail) for place, a in enumerate(own, 1)],
        }
        states.append((since, body))
    yield from versions(account, "products", gid("Product", number), number, states, gone_at=gone)


def _variant(plan: Plan, article: Article, day: date, place: int, retail: bool) -> Body:
    price = article.price_on(day, plan.first)
    cost = article.cost_on(day, plan.first)
    number = variant_number(article)
    own = retail_price(article, price) if retail else wholesale_price(price)
    moved = max(d for d in (article.created, *article.moves(plan.first)) if d <= day)
    return {
        "id": gid("ProductVariant", number),
        "title": FORMS[article.number % len(FORMS)][0] if retail else "Default Title",
        "sku": article.sku,
        "barcode": f"93{number % 10**10:010d}{article.number % 10}" if article.number % 5 else None,
        "position": place,
        "price": str(own),
        "compareAtPrice": str(cents(own * Decimal("1.2"))) if article.number % 11 == 0 else None,
        "taxable": article.taxed,
        "inventoryPolicy": "CONTINUE" if article.number % 13 == 0 else "DENY",
        "createdAt": stamp(wall(article.created, 1)),
        "updatedAt": stamp(wall(moved, 1)),
        "inventoryItem": {
            "id": gid("InventoryItem", item_number(number)),
            "sku": article.sku,
            "tracked": True,
            "unitCost": money(cents(cost)) if cost is not None else None,
        },
    }


def _gift_card(plan: Plan, account: str) -> Iterator[Version]:
    """Cards of several values; they have no SKU, no stock and no tax."""
    at = wall(plan.first - timedelta(days=900), 9)
    dates = {"createdAt": stamp(at), "updatedAt": stamp(at)}
    variants: list[Body] = [
        {
            "id": gid("ProductVariant", gift_card_variant(value)),
            "title": f"${value}.00",
            "sku": None,
            "barcode": None,
            "position": place,
            "price": f"{value}.00",
            "compareAtPrice": None,
            "taxable": False,
            "inventoryPolicy": "CONTINUE",
            **dates,
            "inventoryItem": {
                "id": gid("InventoryItem", item_number(gift_card_variant(value))),
                "sku": None,
                "tracked": False,
                "unitCost": None,
            },
        }
        for place, value in enumerate(GIFT_CARDS, 1)
    ]
    id = gid("Product", GIFT_CARD_PRODUCT)
    body: Body = {
        "id": id,
        "title": "Gift card",
        "handle": "gift-card",
        "vendor": "Teelixir",
        "productType": "Gift card",
        "status": "ACTIVE",
        "publishedAt": stamp(at),
        "tags": [],
        **dates,
        "variants": variants,
    }
    yield from versions(account, "products", id, GIFT_CARD_PRODUCT, [(at, body)])
