"""Chance that follows from a seed and a name, so that each part of the world can be made apart from all others."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeVar

T = TypeVar("T")

CENT = Decimal("0.01")
TENTH_OF_A_MILL = Decimal("0.0001")


def chance(*parts: object) -> float:
    """A number in [0, 1) for these parts; the same for the same parts, ever after."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def guid(*parts: object) -> str:
    """A Guid for these parts, in the form of a random UUID."""
    digits = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Dice(random.Random):
    """A stream of chance for these parts. Only `random()` is drawn from: no Python version changes the world."""

    def __init__(self, *parts: object) -> None:
        super().__init__(":".join(map(str, parts)))

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("dice are made anew from their parts, not copied")

    def hits(self, probability: float) -> bool:
        return self.random() < probability

    def whole(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def one(self, options: Sequence[T]) -> T:
        return options[int(self.random() * len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the options by their weights, which add up to 1."""
        mark = self.random()
        for option, weight in options:
            mark -= weight
            if mark < 0:
                return option
        return options[-1][0]


def cents(amount: Decimal) -> Decimal:
    """Rounded to cents, half up."""
    return amount.quantize(CENT, ROUND_HALF_UP)
