"""What the group's HubSpot account holds: the same people and companies, the deals with them, and the account's set-up.

Contacts' e-mails are lower-case, as HubSpot keeps them. A person entered twice is merged one day: the second id is
gone, and the survivor names it in `hs_merged_object_ids` and its address in `hs_additional_emails`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from masterops_dagster.simulator.world import shopify
from masterops_dagster.simulator.world.catalogue import articles, sold
from masterops_dagster.simulator.world.people import WHOLESALE, Buyer, buyer, typed_abn
from masterops_dagster.simulator.world.records import FOREVER, Association, Body, Version, iso
from masterops_dagster.simulator.world.rhythm import CHANNELS, Plan, channel
from masterops_dagster.simulator.world.seeding import Dice, cents, chance
from masterops_dagster.simulator.world.timeline import HOUR, office, same_time, versions, wall

ACCOUNT = "hubspot"

DEALS = (
    ("teelixir", "teelixir_wholesale", 0.75),
    ("elevate_wholesale", "elevate_wholesale", 0.65),
    ("buy_organics_online", "organics_shop", 0.12),
    ("red_hill_fresh", "red_hill_shop", 0.10),
)
"""(business, channel of its customers, deals a day)."""

STAGES = (
    ("appointmentscheduled", "Appointment scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified to buy", "0.4"),
    ("contractsent", "Contract sent", "0.8"),
    ("closedwon", "Closed won", "1.0"),
    ("closedlost", "Closed lost", "0.0"),
)
OWNERS = (
    ("Alex", "Moreau"),
    ("Bridie", "Walsh"),
    ("Chandra", "Iyer"),
    ("Dimitri", "K."),
    ("Emi", "佐藤"),
    ("Frank", "Left"),
)
FIRST_OWNER = 77_001

READ_ONLY = frozenset(
    {
        "createdate",
        "lastmodifieddate",
        "hs_lastmodifieddate",
        "hs_object_id",
        "hs_merged_object_ids",
        "hs_is_closed",
        "hs_is_closed_won",
    }
)
"""Properties that HubSpot sets itself."""

Definition = tuple[str, str, str, str]
PROPERTIES: dict[str, tuple[Definition, ...]] = {
    "contacts": (
        ("email", "Email", "string", "text"),
        ("hs_additional_emails", "Additional email addresses", "enumeration", "checkbox"),
        ("hs_merged_object_ids", "Merged record IDs", "enumeration", "checkbox"),
        ("firstname", "First name", "string", "text"),
        ("lastname", "Last name", "string", "text"),
        ("phone", "Phone number", "string", "phonenumber"),
        ("address", "Street address", "string", "text"),
        ("city", "City", "string", "text"),
        ("state", "State/Region", "string", "text"),
        ("zip", "Postal code", "string", "text"),
        ("country", "Country/Region", "string", "text"),
        ("lifecyclestage", "Lifecycle stage", "enumeration", "radio"),
        ("hubspot_owner_id", "Contact owner", "enumeration", "select"),
        ("createdate", "Create date", "datetime", "date"),
        ("lastmodifieddate", "Last modified date", "datetime", "date"),
        ("hs_object_id", "Record ID", "number", "number"),
        ("contact_type", "Contact type", "enumeration", "select"),
        ("source_business", "Source business", "enumeration", "select"),
        ("wholesale_account", "Wholesale account", "bool", "booleancheckbox"),
        ("shopify_customer_id", "Shopify customer ID", "string", "text"),
        ("unleashed_customer_code", "Unleashed customer code", "string", "text"),
        ("shopify_total_spent", "Shopify total spent", "number", "number"),
        ("shopify_order_count", "Shopify order count", "number", "number"),
        ("engagement_score", "Engagement score", "number", "number"),
    ),
    "companies": (
        ("name", "Company name", "string", "text"),
        ("domain", "Company domain name", "string", "text"),
        ("phone", "Phone number", "string", "phonenumber"),
        ("address", "Street address", "string", "text"),
        ("city", "City", "string", "text"),
        ("state", "State/Region", "string", "text"),
        ("zip", "Postal code", "string", "text"),
        ("country", "Country/Region", "string", "text"),
        ("hubspot_owner_id", "Company owner", "enumeration", "select"),
        ("hs_merged_object_ids", "Merged record IDs", "enumeration", "checkbox"),
        ("createdate", "Create date", "datetime", "date"),
        ("hs_lastmodifieddate", "Last modified date", "datetime", "date"),
        ("hs_object_id", "Record ID", "number", "number"),
        ("company_type", "Company type", "enumeration", "select"),
        ("account_status", "Account status", "enumeration", "select"),
        ("source_business", "Source business", "enumeration", "select"),
        ("wholesale_discount_tier", "Wholesale discount tier", "enumeration", "select"),
        ("minimum_order_value", "Minimum order value", "number", "number"),
        ("payment_terms", "Payment terms", "string", "text"),
        ("tax_id", "ABN", "string", "text"),
        ("unleashed_customer_code", "Unleashed customer code", "string", "text"),
    ),
    "deals": (
        ("dealname", "Deal name", "string", "text"),
        ("amount", "Amount", "number", "number"),
        ("deal_currency_code", "Currency", "enumeration", "select"),
        ("pipeline", "Pipeline", "enumeration", "select"),
        ("dealstage", "Deal stage", "enumeration", "radio"),
        ("closedate", "Close date", "datetime", "date"),
        ("hs_is_closed", "Is deal closed?", "bool", "booleancheckbox"),
        ("hs_is_closed_won", "Is closed won", "bool", "booleancheckbox"),
        ("hubspot_owner_id", "Deal owner", "enumeration", "select"),
        ("createdate", "Create date", "datetime", "date"),
        ("hs_lastmodifieddate", "Last modified date", "datetime", "date"),
        ("hs_object_id", "Record ID", "number", "number"),
        ("deal_source", "Deal source", "string", "text"),
        ("source_business", "Source business", "enumeration", "select"),
        ("order_total", "Order total", "number", "number"),
        ("unleashed_order_number", "Unleashed order number", "string", "text"),
        ("fulfillment_status", "Fulfilment status", "enumeration", "select"),
        ("payment_status", "Payment status", "enumeration", "select"),
    ),
    "products": (
        ("name", "Name", "string", "text"),
        ("hs_sku", "SKU", "string", "text"),
        ("price", "Unit price", "number", "number"),
        ("hs_cost_of_goods_sold", "Unit cost", "number", "number"),
        ("description", "Product description", "string", "textarea"),
        ("createdate", "Create date", "datetime", "date"),
        ("hs_lastmodifieddate", "Last modified date", "datetime", "date"),
        ("hs_object_id", "Record ID", "number", "number"),
    ),
    "line_items": (
        ("name", "Name", "string", "text"),
        ("hs_sku", "SKU", "string", "text"),
        ("hs_product_id", "Product ID", "number", "number"),
        ("quantity", "Quantity", "number", "number"),
        ("price", "Unit price", "number", "number"),
        ("amount", "Net price", "number", "number"),
        ("createdate", "Create date", "datetime", "date"),
        ("hs_lastmodifieddate", "Last modified date", "datetime", "date"),
        ("hs_object_id", "Record ID", "number", "number"),
    ),
}
"""(name, label, type, field type) of the properties that the account's objects have."""

OPTIONS: dict[str, tuple[str, ...]] = {
    "contact_type": ("customer", "distributor", "stockist", "ambassador"),
    "source_business": tuple(business for business, _, _ in DEALS),
    "lifecyclestage": ("subscriber", "lead", "opportunity", "customer"),
    "company_type": ("stockist", "distributor"),
    "account_status": ("active", "trial", "closed"),
    "wholesale_discount_tier": ("bronze", "silver", "gold"),
    "deal_currency_code": ("AUD",),
    "fulfillment_status": ("unfulfilled", "fulfilled"),
    "payment_status": ("pending", "paid"),
    "wholesale_account": ("true", "false"),
    "hs_is_closed": ("true", "false"),
    "hs_is_closed_won": ("true", "false"),
    "dealstage": tuple(name for name, _, _ in STAGES),
    "pipeline": ("default", "wholesale"),
}
OWN_GROUP = frozenset(
    (
        *("contact_type", "source_business", "wholesale_account", "shopify_customer_id", "unleashed_customer_code"),
        *("shopify_total_spent", "shopify_order_count", "engagement_score", "company_type", "account_status"),
        *("wholesale_discount_tier", "minimum_order_value", "payment_terms", "tax_id", "deal_source", "order_total"),
        *("unleashed_order_number", "fulfillment_status", "payment_status"),
    )
)


def base(plan: Plan) -> Iterator[Version | Association]:
    """The account's set-up, its products, and the people from before history."""
    yield from _set_up(plan)
    yield from _products(plan)
    for own in CHANNELS:
        for number in range(plan.trading(own).known(plan.first - timedelta(days=1))):
            yield from _person(plan, buyer(plan, own.key, number))


def day(plan: Plan, day: date) -> Iterator[Version | Association]:
    """The people who came to be known on a Melbourne day, and the deals begun on it."""
    for own in CHANNELS:
        for number in plan.trading(own).new(day):
            yield from _person(plan, buyer(plan, own.key, number))
    for place, (business_key, channel_key, rate) in enumerate(DEALS):
        dice = Dice(plan.seed, "deals", business_key, day)
        weekday = 1.3 if day.weekday() < 5 else 0.2
        for sequence in range(int(rate * plan.scale * weekday + dice.random())):
            number = 40_000_000_000 + plan.index(day) * 1_000_000 + place * 100_000 + sequence * 10
            yield from _deal(plan, business_key, channel_key, day, number, dice)


def contact_id(who: Buyer) -> int:
    """The CRM's id of a person, under the channel where the person was first known."""
    channel_key, number = who.home
    place = next(i for i, own in enumerate(CHANNELS) if own.key == channel_key)
    return 1_000_000_000 * (place + 1) + number * 10


def in_crm(plan: Plan, who: Buyer) -> bool:
    """Whether the CRM knows the person; it doesn't know everybody."""
    return chance(plan.seed, *who.home, "crm") < 0.94


def company_id(who: Buyer) -> int:
    return contact_id(who) + 20_000_000_000


# ---- people and companies


def _person(plan: Plan, who: Buyer) -> Iterator[Version | Association]:
    """The contact and company of a customer who is no other channel's customer already."""
    if who.home != (who.channel, who.number) or not in_crm(plan, who):
        return
    dice = Dice(plan.seed, *who.home, "contact")
    created = wall(who.joined, dice.whole(6, 22), dice.whole(0, 59), dice.whole(0, 59)) + dice.whole(0, 999)
    yield from _contact(plan, who, created, dice)
    if who.company is not None:
        yield from _company(plan, who, created + 2_000, dice)
        yield Association(
            from_type="contacts",
            from_id=str(contact_id(who)),
            to_type="companies",
            to_id=str(company_id(who)),
            visible_from=created + 2_000,
            types=(("HUBSPOT_DEFINED", 1, None), ("HUBSPOT_DEFINED", 279, None)),
        )


def _contact(plan: Plan, who: Buyer, created: int, dice: Dice) -> Iterator[Version]:
    id = contact_id(who)
    own = channel(who.channel)
    wholesale = who.channel in WHOLESALE
    code = who.code if wholesale or (who.channel == "teelixir_shop" and dice.hits(0.3)) else None
    properties: dict[str, str | None] = {
        "email": who.email,
        "hs_additional_emails": None,
        "hs_merged_object_ids": None,
        "firstname": who.first_name,
        "lastname": who.last_name if dice.hits(0.97) else None,
        "phone": who.phone,
        "address": who.street,
        "city": who.suburb,
        "state": who.state,
        "zip": who.postcode,
        "country": dice.one(("Australia", "Australia", "AU", None)),
        "lifecyclestage": "customer",
        "hubspot_owner_id": str(FIRST_OWNER + dice.whole(0, 5)) if wholesale or dice.hits(0.1) else None,
        "contact_type": dice.one(("stockist", "distributor"))
        if wholesale
        else dice.one(("customer",) * 12 + ("ambassador", None)),
        "source_business": own.business_key,
        "wholesale_account": "true" if wholesale else dice.one(("false", None)),
        "shopify_customer_id": str(shopify.customer_number(who)) if shopify.buys_online(plan, who) else None,
        "unleashed_customer_code": code,
        "shopify_total_spent": None,
        "shopify_order_count": None,
        "engagement_score": f"{dice.whole(0, 1000) / 10}" if dice.hits(0.7) else None,
    }
    if dice.hits(0.03):
        del properties["phone"]
    changes: list[tuple[int, dict[str, str | None]]] = []
    if dice.hits(0.25):
        changes.append((office(created, dice.whole(3, 300), dice), {"engagement_score": str(dice.whole(1, 99))}))
    gone, archived = FOREVER, None
    if who.second_email is not None:
        twin, merged = _second_contact(who, id + 1, created, dice)
        yield from twin
        if merged is not None:
            more: dict[str, str | None] = {
                "hs_merged_object_ids": str(id + 1),
                "hs_additional_emails": who.second_email,
            }
            changes.append((merged, more))
    elif not wholesale and dice.hits(0.02):
        archived = office(created, dice.whole(301, 600), dice)
    elif not wholesale and dice.hits(0.004):
        gone = office(created, dice.whole(301, 600), dice)
    yield from _object("contacts", id, created, properties, changes, archived_at=archived, gone_at=gone)


def _second_contact(who: Buyer, id: int, created: int, dice: Dice) -> tuple[Iterator[Version], int | None]:
    """The same person under another address, and when the two are merged, if ever."""
    entered = office(created, dice.whole(2, 40), dice)
    merged = (
        office(entered, dice.whole(301, 420), dice) if dice.hits(0.35) else office(entered, dice.whole(5, 90), dice)
    )
    properties: dict[str, str | None] = {
        "email": who.second_email,
        "firstname": who.first_name.upper(),
        "lastname": who.last_name,
        "phone": who.phone,
        "lifecyclestage": "lead",
        "source_business": channel(who.channel).business_key,
        "contact_type": None,
    }
    if dice.hits(0.25):
        return _object("contacts", id, entered, properties, []), None
    return _object("contacts", id, entered, properties, [], gone_at=merged), merged


def _company(plan: Plan, who: Buyer, created: int, dice: Dice) -> Iterator[Version]:
    id = company_id(who)
    properties: dict[str, str | None] = {
        "name": who.company,
        "domain": who.email.partition("@")[2] if who.email and dice.hits(0.7) else None,
        "phone": who.phone,
        "address": who.street,
        "city": who.suburb,
        "state": who.state,
        "zip": who.postcode,
        "country": "Australia",
        "hubspot_owner_id": str(FIRST_OWNER + dice.whole(0, 5)),
        "hs_merged_object_ids": None,
        "company_type": dice.one(("stockist", "distributor", None)),
        "account_status": dice.one(("active", "active", "active", "trial", "closed")),
        "source_business": channel(who.channel).business_key,
        "wholesale_discount_tier": dice.one(("bronze", "silver", "gold", None)),
        "minimum_order_value": dice.one(("250", "500.00", None)),
        "payment_terms": dice.one(("30 days", "14 days", None)),
        "tax_id": typed_abn(who.abn, dice) if dice.hits(0.9) else None,
        "unleashed_customer_code": who.code if dice.hits(0.9) else None,
    }
    changes: list[tuple[int, dict[str, str | None]]] = []
    if dice.hits(0.04):
        entered = office(created, dice.whole(2, 30), dice)
        merged = office(entered, dice.whole(5, 300), dice)
        double: dict[str, str | None] = {"name": f"{who.company} (2)", "tax_id": who.abn}
        yield from _object("companies", id + 1, entered, double, [], gone_at=merged)
        changes.append((merged, {"hs_merged_object_ids": str(id + 1)}))
    if dice.hits(0.1):
        changes.append((office(created, dice.whole(301, 500), dice), {"account_status": "closed"}))
    yield from _object("companies", id, created, properties, changes)


# ---- deals


def _deal(
    plan: Plan, business_key: str, channel_key: str, day: date, id: int, dice: Dice
) -> Iterator[Version | Association]:
    """A deal with its line items, won or lost some weeks later, or still open."""
    created = wall(day, dice.whole(8, 17), dice.whole(0, 59), dice.whole(0, 59)) + dice.whole(0, 999)
    trading = plan.trading(channel(channel_key))
    who = buyer(plan, channel_key, int(trading.known(day - timedelta(days=1)) * dice.random()))
    offered = sold(plan, business_key, day) or sold(plan, "elevate_wholesale", day)
    amount = Decimal(0)
    for place in range(dice.whole(1, 3)):
        article = dice.one(offered)
        quantity, price = dice.whole(5, 80), article.price_on(day, plan.first)
        amount += quantity * price
        properties: dict[str, str | None] = {
            "name": article.name,
            "hs_sku": article.sku,
            "hs_product_id": str(_product_id(article.business_key, article.number)),
            "quantity": str(quantity),
            "price": str(price),
            "amount": str(quantity * price),
        }
        yield from _object("line_items", id * 10 + place, created, properties, [])
        yield _link("deals", id, "line_items", id * 10 + place, 19, created)
    if in_crm(plan, who):
        yield _link("deals", id, "contacts", contact_id(who), 3, created)
        if who.home[0] in WHOLESALE:
            yield _link("deals", id, "companies", company_id(who), 5, created)
    opened: dict[str, str | None] = {
        "dealname": f"{who.company or who.last_name} – {day:%b %Y}",
        "amount": str(cents(amount)),
        "deal_currency_code": "AUD",
        "pipeline": "wholesale" if channel_key in WHOLESALE else "default",
        "dealstage": "appointmentscheduled",
        "closedate": iso(same_time(created, 30)) if dice.hits(0.9) else None,
        "hs_is_closed": "false",
        "hs_is_closed_won": "false",
        "hubspot_owner_id": str(FIRST_OWNER + dice.whole(0, 5)),
        "deal_source": dice.one(("trade show", "website", "referral", None)),
        "source_business": business_key,
        "order_total": None,
        "unleashed_order_number": None,
        "fulfillment_status": None,
        "payment_status": None,
    }
    changes: list[tuple[int, dict[str, str | None]]] = []
    moved = office(created, dice.whole(1, 9), dice)
    changes.append((moved, {"dealstage": dice.one(("qualifiedtobuy", "contractsent"))}))
    archived = None
    if dice.hits(0.88):
        closed = office(moved, dice.whole(2, 40), dice)
        if dice.hits(0.1):
            closed = wall(day + timedelta(days=(closed - created) // (24 * HOUR) + 1), 23, 30)
        won = dice.hits(0.42 if channel_key in WHOLESALE else 0.6)
        outcome: dict[str, str | None] = {
            "dealstage": "closedwon" if won else "closedlost",
            "closedate": iso(closed),
            "hs_is_closed": "true",
            "hs_is_closed_won": "true" if won else "false",
        }
        if won:
            outcome |= {"order_total": str(cents(amount)), "payment_status": dice.one(("pending", "paid"))}
        changes.append((closed, outcome))
        archived = office(closed, dice.whole(1, 60), dice) if dice.hits(0.03) else None
    yield from _object("deals", id, created, opened, changes, archived_at=archived)


def _link(from_type: str, from_id: int, to_type: str, to_id: int, type_id: int, at: int) -> Association:
    return Association(from_type, str(from_id), to_type, str(to_id), at, (("HUBSPOT_DEFINED", type_id, None),))


# ---- the account's set-up


def _set_up(plan: Plan) -> Iterator[Version]:
    at = wall(plan.first - timedelta(days=1500), 9)
    stamps = {"createdAt": iso(at), "updatedAt": iso(at)}
    for place, (first, last) in enumerate(OWNERS):
        id = FIRST_OWNER + place
        left = last == "Left"
        body: Body = {
            "id": str(id),
            "email": f"{first.lower()}@group.example.com",
            "firstName": first,
            "lastName": last,
            "userId": 9_000 + place,
            **stamps,
            "archived": left,
        }
        yield _fixed("owners", str(id), id, at, body, archived=left)
    for place, (id_, label) in enumerate((("default", "Sales pipeline"), ("wholesale", "Wholesale pipeline"))):
        stages = [
            {
                "id": name,
                "label": stage,
                "displayOrder": order,
                "metadata": {"isClosed": str(name.startswith("closed")).lower(), "probability": probability},
                **stamps,
                "archived": False,
            }
            for order, (name, stage, probability) in enumerate(STAGES)
        ]
        body = {"id": id_, "label": label, "displayOrder": place, "stages": stages, **stamps, "archived": False}
        yield _fixed("pipelines", id_, place, at, body, parent="deals")
    for object_type, definitions in PROPERTIES.items():
        for place, (name, label, kind, field) in enumerate(definitions):
            body = {
                "name": name,
                "label": label,
                "type": kind,
                "fieldType": field,
                "description": "",
                "groupName": "masterops" if name in OWN_GROUP else f"{object_type.rstrip('s')}information",
                "options": [
                    {
                        "label": value.replace("_", " ").capitalize(),
                        "value": value,
                        "displayOrder": order,
                        "hidden": False,
                    }
                    for order, value in enumerate(OPTIONS.get(name, ()))
                ],
                "displayOrder": -1,
                "calculated": False,
                "externalOptions": name == "hubspot_owner_id",
                "hasUniqueValue": object_type == "contacts" and name == "email",
                "hidden": False,
                "hubspotDefined": name not in OWN_GROUP,
                "formField": False,
                "modificationMetadata": {
                    "archivable": name in OWN_GROUP,
                    "readOnlyDefinition": name not in OWN_GROUP,
                    "readOnlyValue": name in READ_ONLY,
                },
                "archived": False,
                **stamps,
            }
            yield _fixed("properties", f"{object_type}/{name}", place, at, body, parent=object_type)


def _products(plan: Plan) -> Iterator[Version]:
    """The product library: most of what the businesses sell, some withdrawn."""
    for business_key in ("teelixir", "elevate_wholesale", "red_hill_fresh"):
        for article in articles(plan, business_key):
            dice = Dice(plan.seed, "library", article.sku)
            if not dice.hits(0.9):
                continue
            created = wall(max(article.created, plan.first - timedelta(days=400)), 10, article.number % 60)
            properties: dict[str, str | None] = {
                "name": article.name,
                "hs_sku": article.sku,
                "price": str(article.price),
                "hs_cost_of_goods_sold": str(article.cost) if article.cost is not None else None,
                "description": dice.one((None, "", "Certified organic")),
            }
            changes: list[tuple[int, dict[str, str | None]]] = [
                (wall(move, 6), {"price": str(article.price_on(move, plan.first))})
                for move in article.moves(plan.first)
            ]
            archived = wall(article.removed_on, 8) if article.removed_on is not None else None
            changes = [change for change in changes if archived is None or change[0] < archived]
            yield from _object(
                "products", _product_id(business_key, article.number), created, properties, changes, archived
            )


def _product_id(business_key: str, number: int) -> int:
    place = next(i for i, (key, _, _) in enumerate(DEALS) if key == business_key)
    return 60_000_000 + place * 10_000 + number


def _fixed(
    resource: str, id: str, number: int, at: int, body: Body, *, archived: bool = False, parent: str = ""
) -> Version:
    return Version(
        account=ACCOUNT,
        resource=resource,
        id=id,
        number=number,
        visible_from=at,
        created_at=at,
        business_at=at,
        modified_at=at,
        body=body,
        archived=archived,
        parent=parent,
    )


def _object(
    object_type: str,
    id: int,
    created: int,
    properties: dict[str, str | None],
    changes: list[tuple[int, dict[str, str | None]]],
    archived_at: int | None = None,
    gone_at: int = FOREVER,
) -> Iterator[Version]:
    """The versions of a CRM object: as created, after each change, and, where it is archived, as archived."""
    modified_name = "lastmodifieddate" if object_type == "contacts" else "hs_lastmodifieddate"
    current: dict[str, str | None] = {**properties, "createdate": iso(created), "hs_object_id": str(id)}
    states: list[tuple[int, Body]] = []
    for at, change in [(created, {}), *sorted(changes, key=lambda change: change[0])]:
        current = {**current, **change, modified_name: iso(at)}
        body = {
            "id": str(id),
            "properties": current,
            "createdAt": iso(created),
            "updatedAt": iso(at),
            "archived": False,
        }
        states.append((at, body))
    states = [state for state in states if archived_at is None or state[0] < archived_at]
    until = min(gone_at, archived_at) if archived_at is not None else gone_at
    yield from versions(ACCOUNT, object_type, str(id), id, states, gone_at=until)
    if archived_at is not None:
        last = states[-1][1]
        body = {**last, "archived": True, "archivedAt": iso(archived_at), "updatedAt": iso(archived_at)}
        yield Version(
            account=ACCOUNT,
            resource=object_type,
            id=str(id),
            number=id,
            visible_from=archived_at,
            created_at=created,
            business_at=created,
            modified_at=archived_at,
            body=body,
            archived=True,
        )
