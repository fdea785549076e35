"""What the businesses sell: articles with prices and costs that move once a year, some discontinued or removed."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from masterops_dagster.simulator.world.rhythm import Plan
from masterops_dagster.simulator.world.seeding import TENTH_OF_A_MILL, Dice, cents

YEARS_OF_PRICES = 3
"""For how many years after history begins prices move; afterwards they stay."""
PRICE_AFTER = tuple(Decimal("1.04") ** moves for moves in range(YEARS_OF_PRICES + 1))
COST_AFTER = tuple(Decimal("1.03") ** moves for moves in range(YEARS_OF_PRICES + 1))

MUSHROOMS = (
    *("Lion's Mane", "Reishi", "Chaga", "Cordyceps", "Turkey Tail", "Maitake", "Shiitake", "Tremella", "Poria"),
    *("Schizandra", "Ashwagandha", "Pearl", "Tongkat Ali", "Pine Pollen", "Astragalus"),
)
FORMS = (
    *(("Powder 50 g", "2450", True), ("Powder 100 g", "4300", True), ("Powder 250 g", "8900", True)),
    *(("Powder 1 kg", "27900", False), ("Capsules 60", "3650", True), ("Capsules 120", "6400", True)),
    *(("Tincture 50 ml", "4550", True), ("Latte 100 g", "2390", False), ("Sample sachet", "350", True)),
    ("Bulk 5 kg", "118000", False),
)
BRANDS = (
    *("Amazonia", "Loving Earth", "Botanika", "Pukka", "Weleda", "Dr Organic", "Spiral", "Honest to Goodness", "Ceres"),
    *("Nutra Organics", "Bonsoy", "Pure Harvest", "Melrose", "Koala Tea", "Every Bit", "Sukin", "Ecostore", "Kombu Co"),
    *("Lotus", "Chef's Choice"),
)
ITEMS = (
    *(("Raw protein 1 kg", "4990", True), ("Coconut oil 300 g", "920", False), ("Herbal tea 20 bags", "640", False)),
    *(("Almond butter 250 g", "890", False), ("Body lotion 200 ml", "1590", True), ("Toothpaste 75 ml", "710", True)),
    *(("Rolled oats 1 kg", "480", False), ("Tamari 500 ml", "870", False), ("Chia seeds 500 g", "760", False)),
    *(("Shampoo 350 ml", "1240", True), ("Kombucha 330 ml", "345", True), ("Cacao powder 250 g", "1180", False)),
    *(
        ("Greens powder 300 g", "3890", True),
        ("Brown rice flour 5 kg", "1990", False),
        ("Dish liquid 1 l", "690", True),
    ),
)
PRODUCE = (
    *("Pink Lady apples", "Bananas", "Navel oranges", "Lemons", "Avocado", "Strawberries", "Blueberries", "Cherries"),
    *("Nectarines", "Mangoes", "Packham pears", "Green grapes", "Limes", "Kiwifruit", "Rhubarb", "Figs", "Carrots"),
    *("Brushed potatoes", "Sweet potato", "Brown onions", "Red onions", "Garlic", "Ginger", "Broccoli", "Cauliflower"),
    *("Kale", "Silverbeet", "Baby spinach", "Cos lettuce", "Rocket", "Cucumber", "Tomatoes", "Cherry tomatoes"),
    *(
        "Red capsicum",
        "Zucchini",
        "Eggplant",
        "Pumpkin",
        "Corn",
        "Green beans",
        "Asparagus",
        "Leek",
        "Celery",
        "Fennel",
    ),
    *("Beetroot", "Radish", "Button mushrooms", "Swiss brown mushrooms", "Basil", "Coriander", "Flat parsley", "Mint"),
    *("Free-range eggs", "Sourdough loaf", "Jersey milk 2 l", "Farm butter", "Red Hill honey", "Olive oil 500 ml"),
    *("Apple juice 1 l", "Cheddar 200 g", "Crème fraîche", "Jalapeño relish", "Granola 500 g", "Gift card sleeve"),
)
BOXES = (
    *("Family fruit box", "Vegetable box", "Salad box", "Office fruit box", "Juicing box", "Winter soup box"),
    *("Organic mixed box", "Market box", "Stone fruit box", "Berry box", "Roast box", "Barbecue box", "Herb box"),
    *("Citrus box", "Little ones' box", "Cellar door hamper"),
)
SIZES = (("Small", "3500"), ("Medium", "5500"), ("Large", "7900"))
SUPPLIERS = ("Wholegrain Mills", "Southern Light Organics", "Rivermint Naturals", "Banksia Pantry")
GROCERIES_AT_SCALE_1 = 10_000
KINDS = (
    *(
        "Organic",
        "Biodynamic",
        "Wholefood",
        "Raw",
        "Activated",
        "Stoneground",
        "Gluten-free",
        "Unsweetened",
        "Sprouted",
    ),
    *(
        "Fair-trade",
        "Cold-pressed",
        "Heirloom",
        "Roasted",
        "Salted",
        "Smoked",
        "Wild",
        "Golden",
        "Dark",
        "Red",
        "Black",
    ),
    *("White", "Fine", "Coarse", "Crème fraîche-style", "Jalapeño"),
)
GROCERIES = (
    *(("rolled oats", 480, False), ("almonds", 1890, False), ("cashews", 1690, False), ("quinoa", 990, False)),
    *(
        ("chickpeas", 520, False),
        ("red lentils", 490, False),
        ("black beans", 540, False),
        ("basmati rice", 620, False),
    ),
    *(
        ("spelt flour", 690, False),
        ("coconut flour", 740, False),
        ("cacao powder", 1290, False),
        ("honey", 1390, False),
    ),
    *(("maple syrup", 1590, False), ("tahini", 890, False), ("peanut butter", 790, False), ("olive oil", 1890, False)),
    *(("coconut oil", 1190, False), ("tamari", 850, False), ("miso paste", 1090, False), ("passata", 430, False)),
    *(("penne", 520, False), ("sultanas", 640, False), ("dates", 980, False), ("apricots", 1240, False)),
    *(
        ("chia seeds", 960, False),
        ("sunflower seeds", 560, False),
        ("green tea", 740, False),
        ("coffee beans", 1890, False),
    ),
    *(("muesli", 1150, True), ("corn chips", 480, True), ("chocolate", 590, True), ("crackers", 560, True)),
    *(("kombucha", 420, True), ("sparkling juice", 490, True), ("protein bar", 390, True), ("cookies", 620, True)),
    *(("shampoo", 1490, True), ("conditioner", 1490, True), ("hand wash", 990, True), ("body lotion", 1790, True)),
    *(("toothpaste", 790, True), ("deodorant", 1290, True), ("dish liquid", 690, True), ("laundry powder", 1690, True)),
    *(("incense", 520, True), ("beeswax wraps", 2190, True), ("multivitamin", 3290, True), ("magnesium", 3490, True)),
    *(("collagen", 4290, True), ("baby balm", 1590, True)),
)
PACKS = (("", 100), (" family pack", 270))
COST_SHARES = {
    "teelixir": (0.20, 0.2),
    "elevate_wholesale": (0.36, 0.14),
    "red_hill_fresh": (0.5, 0.22),
    "buy_organics_online": (0.58, 0.16),
}
"""What an article costs as a share of its retail price: at least the first, up to the second more."""
TAXED_PRODUCE = frozenset({"Gift card sleeve", "Granola 500 g", "Cellar door hamper"})


@dataclass(frozen=True, slots=True)
class Article:
    """One sellable article: a product, or a variation (`option`) of the product `parent_name`."""

    business_key: str
    number: int
    sku: str
    name: str
    group: str
    price: Decimal
    """Retail price ex tax when history begins."""
    cost: Decimal | None
    """Landed cost, four decimals; None where nobody knows it."""
    taxed: bool
    created: date
    sellable: bool = True
    obsolete_from: date | None = None
    removed_on: date | None = None
    parent_name: str | None = None
    option: str | None = None
    moves_on: int | None = 0
    """On which day after history began, and each year after it, price and cost move; None where they stay."""

    def moves(self, first: date) -> list[date]:
        if self.moves_on is None:
            return []
        return [first + timedelta(days=self.moves_on + 365 * year) for year in range(YEARS_OF_PRICES)]

    def price_on(self, day: date, first: date) -> Decimal:
        return cents(self.price * PRICE_AFTER[self._moved(day, first)])

    def cost_on(self, day: date, first: date) -> Decimal | None:
        if self.cost is None:
            return None
        return (self.cost * COST_AFTER[self._moved(day, first)]).quantize(TENTH_OF_A_MILL, ROUND_HALF_UP)

    def sold_on(self, day: date) -> bool:
        return (
            self.sellable
            and (self.obsolete_from is None or day < self.obsolete_from)
            and (self.removed_on is None or day < self.removed_on)
        )

    def _moved(self, day: date, first: date) -> int:
        if self.moves_on is None:
            return 0
        elapsed = (day - first).days - self.moves_on
        return 0 if elapsed < 0 else min(YEARS_OF_PRICES, elapsed // 365 + 1)


@cache
def articles(plan: Plan, business_key: str) -> tuple[Article, ...]:
    """All articles that a business ever has, in the order of their numbers."""
    named: list[tuple[str, str, str, str, bool, str | None, str | None]] = []
    if business_key == "teelixir":
        named = [
            (
                f"TLX-{_letters(mushroom)}-{number:02d}",
                f"{mushroom} {form}",
                form.split(" ")[0],
                price,
                taxed,
                None,
                None,
            )
            for mushroom in MUSHROOMS
            for number, (form, price, taxed) in enumerate(FORMS, 1)
        ]
    elif business_key == "elevate_wholesale":
        named = [
            (f"{_letters(brand)}{number:03d}", f"{brand} {item}", brand, price, taxed, None, None)
            for brand in BRANDS
            for number, (item, price, taxed) in enumerate(ITEMS, 1)
        ]
    elif business_key == "red_hill_fresh":
        named = [
            (f"RHF-{number:03d}", name, "Produce", str(250 + (number * 137) % 900), name in TAXED_PRODUCE, None, None)
            for number, name in enumerate(PRODUCE, 1)
        ] + [
            (f"BOX-{number:02d}-{size[0]}", f"{name} - {size}", "Boxes", price, name in TAXED_PRODUCE, name, size)
            for number, name in enumerate(BOXES, 1)
            for size, price in SIZES
        ]
    elif business_key == "buy_organics_online":
        return _groceries(plan, business_key)
    return tuple(_article(plan, business_key, number, *described) for number, described in enumerate(named))


def sold(plan: Plan, business_key: str, day: date) -> tuple[Article, ...]:
    """What is on sale on a day."""
    return _sold_since(plan, business_key, bisect_right(_withdrawals(plan, business_key), day))


@cache
def _withdrawals(plan: Plan, business_key: str) -> list[date]:
    """The days on which something goes off sale, in order."""
    own = articles(plan, business_key)
    return sorted({day for article in own for day in (article.obsolete_from, article.removed_on) if day is not None})


@cache
def _sold_since(plan: Plan, business_key: str, withdrawals: int) -> tuple[Article, ...]:
    day = _withdrawals(plan, business_key)[withdrawals - 1] if withdrawals else date.min
    return tuple(article for article in articles(plan, business_key) if article.sold_on(day))


def _article(
    plan: Plan,
    business_key: str,
    number: int,
    sku: str,
    name: str,
    group: str,
    price: str,
    taxed: bool,
    parent_name: str | None,
    option: str | None,
) -> Article:
    dice = Dice(plan.seed, business_key, sku, "article")
    base = Decimal(price) / 100 * Decimal(str(round(0.85 + 0.3 * dice.random(), 3)))
    low, span = COST_SHARES[business_key]
    share = Decimal(str(round(low + span * dice.random(), 4)))
    part = parent_name is not None
    fate = dice.random()
    return Article(
        business_key=business_key,
        number=number,
        sku=sku,
        name=name,
        group=group,
        price=cents(base),
        cost=(base * share).quantize(TENTH_OF_A_MILL, ROUND_HALF_UP) if dice.random() > 0.05 else None,
        taxed=taxed,
        created=plan.first - timedelta(days=dice.whole(30, 900)),
        sellable=fate > 0.02 or part,
        obsolete_from=plan.first + timedelta(days=dice.whole(90, 1200)) if 0.02 < fate < 0.05 and not part else None,
        removed_on=plan.first + timedelta(days=dice.whole(90, 700)) if 0.05 < fate < 0.08 and not part else None,
        parent_name=parent_name,
        option=option,
        moves_on=dice.whole(1, 364),
    )


def _groceries(plan: Plan, business_key: str) -> tuple[Article, ...]:
    """Ten thousand articles of four suppliers (`group`), fewer in small worlds; some go with a month's range review.

    Every fifth has prices that move. One stream of chance makes them all: ten thousand streams would take a second.
    """
    dice = Dice(plan.seed, business_key, "groceries")
    count = round(GROCERIES_AT_SCALE_1 * min(1.0, plan.scale**0.5))
    low, span = COST_SHARES[business_key]
    made = []
    for number in range(count):
        supplier, place = number % len(SUPPLIERS), number // len(SUPPLIERS)
        name, cents_each, taxed = GROCERIES[place % len(GROCERIES)]
        kind, (pack, percent) = KINDS[place // len(GROCERIES) % len(KINDS)], PACKS[place // 1250 % 2]
        price = Decimal(round(cents_each * percent * (0.85 + 0.3 * dice.random()) / 100)).scaleb(-2)
        fate = dice.random()
        withdrawn = None
        if fate < 0.09:
            months = plan.first.year * 12 + plan.first.month - 1 + dice.whole(2, 36)
            withdrawn = date(months // 12, months % 12 + 1, 1)
        made.append(
            Article(
                business_key=business_key,
                number=number,
                sku=f"BOO-{SUPPLIERS[supplier][0]}{number:05d}",
                name=f"{SUPPLIERS[supplier]} {kind} {name}{pack}",
                group=SUPPLIERS[supplier],
                price=price,
                cost=(price * round((low + span * dice.random()) * 10_000)).scaleb(-4).quantize(TENTH_OF_A_MILL)
                if dice.random() > 0.05
                else None,
                taxed=taxed,
                created=plan.first - timedelta(days=dice.whole(30, 900)),
                sellable=fate < 0.98,
                obsolete_from=withdrawn if fate < 0.06 else None,
                removed_on=withdrawn if fate >= 0.06 else None,
                moves_on=dice.whole(1, 364) if number % 5 == 0 else None,
            )
        )
    return tuple(made)


def _letters(name: str) -> str:
    """Three letters that tell names apart: `LIM` for Lion's Mane, `TON` for Tongkat Ali."""
    words = ["".join(c for c in word if c.isalnum()) for word in name.split()]
    return (words[0][:2] + words[-1][:1]).upper() if len(words) > 1 else words[0][:3].upper()
