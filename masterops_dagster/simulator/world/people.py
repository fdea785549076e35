"""Who buys: people and companies with names, addresses and ABNs, some of them in several businesses.

The customer of number k of a channel is the same in every system; how a system writes an e-mail or an ABN differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

from masterops_dagster.simulator.world.rhythm import Plan, channel
from masterops_dagster.simulator.world.seeding import Dice, chance

FIRST_NAMES = (
    *("Olivia", "Noah", "Charlotte", "Jack", "Isla", "William", "Amelia", "Leo", "Mia", "Henry", "Grace", "Thomas"),
    *("Ruby", "Lucas", "Zoe", "Ethan", "Harper", "James", "Matilda", "Archie", "Willow", "Cooper", "Evie", "Hugo"),
    *("Priya", "Arjun", "Mei", "Liam", "Sofia", "Mateo", "Fatima", "Omar", "Aroha", "Tane", "Chloe", "Angus"),
)
LAST_NAMES = (
    *("Smith", "Jones", "Williams", "Brown", "Wilson", "Taylor", "Nguyen", "Johnson", "Martin", "White", "Anderson"),
    *("Walker", "Thompson", "Thomas", "Lee", "Harris", "Ryan", "Robinson", "Kelly", "King", "Davis", "Wright"),
    *(
        "Evans",
        "Roberts",
        "Green",
        "Hall",
        "Singh",
        "Chen",
        "Patel",
        "Kaur",
        "Rossi",
        "Papadopoulos",
        "Murphy",
        "Clarke",
    ),
)
OTHER_NAMES = (
    *(("Søren", "Ångström"), ("小明", "王"), ("Нина", "Петрова"), ("Zoë 🌿", "O'Brien"), ("مريم", "الحسن")),
    *(
        ("Thị Hồng", "Nguyễn"),
        ("Γιώργος", "Παπαδόπουλος"),
        ("さくら", "田中"),
        ("Seán", "Ó Súilleabháin"),
        ("D’Arcy", "de la Cruz-Peña"),
    ),
)
SUBURBS = (
    *(
        ("Red Hill", "VIC", "3937"),
        ("Mornington", "VIC", "3931"),
        ("Frankston", "VIC", "3199"),
        ("Richmond", "VIC", "3121"),
    ),
    *(("Fitzroy", "VIC", "3065"), ("Geelong", "VIC", "3220"), ("Byron Bay", "NSW", "2481"), ("Newtown", "NSW", "2042")),
    *(
        ("Burleigh Heads", "QLD", "4220"),
        ("Fremantle", "WA", "6160"),
        ("Norwood", "SA", "5067"),
        ("Hobart", "TAS", "7000"),
    ),
)
STREETS = ("High Street", "Station Street", "Main Creek Road", "Arthurs Seat Road", "Smith Street", "Beach Road")
SHOP_WORDS = ("Wholefoods", "Health", "Organics", "Apothecary", "Wellness", "Naturals", "Pantry", "Grocer")
SHOP_NAMES = (
    *(
        "Banksia",
        "Wattle",
        "Bayside",
        "Hilltop",
        "Coastal",
        "Green Valley",
        "Sunrise",
        "Gumtree",
        "Harbour",
        "Peninsula",
    ),
    *(
        "Yarra",
        "Otway",
        "Daintree",
        "Kookaburra",
        "Honeyeater",
        "Blue Wren",
        "Saltbush",
        "Ironbark",
        "Lilly Pilly",
        "Acacia",
    ),
)
ABN_WEIGHTS = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)

WHOLESALE = frozenset({"teelixir_wholesale", "elevate_wholesale"})
SHARED = {
    "red_hill_shop": ("teelixir_shop", 0.07),
    "organics_shop": ("teelixir_shop", 0.10),
    "elevate_wholesale": ("teelixir_wholesale", 0.22),
}
"""Which share of a channel's customers are the same people or companies as customers of another channel."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer of one channel. `email` and `abn` are the plain forms; `abn` is eleven digits or None."""

    channel: str
    number: int
    home: tuple[str, int]
    """The channel and number under which the CRM knows the person: another channel's, where the two are the same."""
    first_name: str
    last_name: str
    email: str | None
    second_email: str | None
    """Another address of the same person, known to the CRM alone where its contacts were merged."""
    phone: str | None
    street: str
    suburb: str
    state: str
    postcode: str
    company: str | None
    abn: str | None
    joined: date

    @property
    def code(self) -> str:
        """The code as an Unleashed customer."""
        return f"{'W' if self.channel in WHOLESALE else 'SHOP-'}{10_000 + self.number}"


@lru_cache(maxsize=50_000)
def buyer(plan: Plan, channel_key: str, number: int) -> Buyer:
    """Customer `number` of a channel."""
    shared = SHARED.get(channel_key)
    joined = plan.trading(channel(channel_key)).joined(number)
    if shared is not None and chance(plan.seed, channel_key, number, "shared") < shared[1]:
        other = plan.trading(channel(shared[0])).known(plan.first)
        twin = buyer(plan, shared[0], int(chance(plan.seed, channel_key, number, "twin") * other))
        own_email = twin.email
        if channel_key in WHOLESALE and chance(plan.seed, channel_key, number, "desk") < 0.5:
            own_email = f"orders+e{number}@{_domain(twin.company or '')}"
        return replace(twin, channel=channel_key, number=number, email=own_email, joined=joined)
    dice = Dice(plan.seed, channel_key, number, "person")
    first, last = (dice.one(FIRST_NAMES), dice.one(LAST_NAMES)) if not dice.hits(0.03) else dice.one(OTHER_NAMES)
    suburb, state, postcode = dice.one(SUBURBS)
    company = abn = None
    local = f"{_ascii(first)}.{_ascii(last)}".strip(".").lower() or "buyer"
    tag = "".join(word[0] for word in channel_key.split("_")) + str(number)
    email: str | None = f"{local}.{tag}@example.com"
    second = f"{local}_{tag}@example.net" if dice.hits(0.05) else None
    if channel_key in WHOLESALE:
        company = f"{dice.one(SHOP_NAMES)} {dice.one(SHOP_WORDS)} {suburb}" + (" Pty Ltd" if dice.hits(0.5) else "")
        abn = make_abn(dice) if dice.hits(0.85) else None
        if dice.hits(0.6):
            email = f"{dice.one(('orders', 'hello', 'accounts', 'purchasing'))}.{tag}@{_domain(company)}"
        if dice.hits(0.03):
            email = None
    return Buyer(
        channel=channel_key,
        number=number,
        home=(channel_key, number),
        first_name=first,
        last_name=last,
        email=email,
        second_email=second,
        phone=dice.one((_mobile(dice), _mobile(dice), f"+61{_mobile(dice)[1:].replace(' ', '')}", None)),
        street=f"{dice.whole(1, 240)} {dice.one(STREETS)}",
        suburb=suburb,
        state=state,
        postcode=postcode,
        company=company,
        abn=abn,
        joined=joined,
    )


def typed_email(email: str | None, dice: Dice) -> str | None:
    """The address as somebody typed it: now and then in capitals, with a space before or behind."""
    if email is None:
        return None
    return dice.weighted(
        (
            (email, 0.80),
            (email.title(), 0.07),
            (email.upper(), 0.04),
            (email + " ", 0.05),
            (" " + email, 0.03),
            (f"\t{email.capitalize()} \n", 0.01),
        )
    )


def typed_abn(abn: str | None, dice: Dice) -> str | None:
    """The ABN as somebody typed it: often in groups, sometimes with a word before, rarely wrong."""
    if abn is None:
        return dice.one((None, None, "", "pending", "00 000 000 000"))
    grouped = f"{abn[:2]} {abn[2:5]} {abn[5:8]} {abn[8:]}"
    return dice.weighted(((abn, 0.5), (grouped, 0.4), (f"ABN {grouped}", 0.05), (grouped.replace(" ", "-"), 0.05)))


def make_abn(dice: Dice) -> str:
    """Eleven digits that pass the tax office's check."""
    tail = "".join(str(dice.whole(0, 9)) for _ in range(9))
    for head in range(10, 100):
        digits = [int(d) for d in f"{head}{tail}"]
        digits[0] -= 1
        if sum(w * d for w, d in zip(ABN_WEIGHTS, digits, strict=True)) % 89 == 0:
            return f"{head}{tail}"
    raise AssertionError("the two check digits always have a solution")


def _domain(company: str) -> str:
    letters = "".join(c for c in company.lower().removesuffix(" pty ltd") if c.isalnum())
    return f"{letters}.example.org"


def _ascii(name: str) -> str:
    return "".join(c for c in name if c.isascii() and c.isalnum())


def _mobile(dice: Dice) -> str:
    return f"04{dice.whole(10, 99)} {dice.whole(100, 999)} {dice.whole(100, 999)}"
