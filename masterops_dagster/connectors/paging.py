"""Reading a list by page numbers while its rows move.

Page numbers count positions: when a row before them goes, every later row moves up, and the first of the next page
slips into a page that was read already. So all pages are read, then what was seen is held against the counts that the
system gave; where rows are missing, or the count fell meanwhile, pages are read again until nothing is missing or a
whole pass brings nothing new. Rows may come twice; whoever stores them merges by key.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from masterops_dagster.connectors.base import Page, Record
from masterops_dagster.connectors.errors import ConnectorError

PASSES = 6
"""How often a list is read at most before it is given up as never at rest."""


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """One page with what the system said about the whole list; None where it didn't say."""

    items: list[Record]
    total: int | None
    pages: int | None


class InOrder(Protocol):
    """`Connector.in_order`: apply in parallel, yield in order."""

    def __call__(
        self, function: Callable[[int], NumberedPage], arguments: Iterable[int], /
    ) -> Iterator[NumberedPage]: ...


def numbered_pages(
    fetch: Callable[[int], NumberedPage],
    in_order: InOrder,
    *,
    page_size: int,
    key: Callable[[Record], Hashable],
    never_at_rest: Callable[[], ConnectorError],
) -> Iterator[Page]:
    """All pages from number 1 on, the later ones in parallel. Empty pages are left out.

    Without a total nothing can be missed knowingly: then pages are read one by one until one isn't full. Where one row
    goes and another comes between the same two requests, the total shows nothing; reconciliation finds what that hid.
    Raises `never_at_rest()` when rows are still missing after `PASSES` passes.
    """
    seen = _Seen()
    expected = 0
    some_went = False
    for number in range(PASSES):
        found_new = False
        last_total = 0
        for page in _one_pass(fetch, in_order, page_size):
            total = page.total or 0
            some_went = some_went or total < last_total
            last_total, expected = total, max(expected, total)
            if seen.add([hash(key(item)) for item in page.items]):
                found_new = True
                yield Page(page.items, page.total)
            if number > 0 and not some_went and len(seen) >= expected:
                return
        seen.end_pass()
        if (number > 0 and not found_new) or (not some_went and len(seen) >= expected):
            return
    raise never_at_rest()


class _Seen:
    """Which rows have come, by the hashes of their keys: eight bytes a row, since a list may have millions."""

    def __init__(self) -> None:
        self._first_pass: array[int] | None = array("q")
        self._known: NDArray[np.int64] = np.empty(0, np.int64)
        """Sorted: what had come when the first pass was over."""
        self._later: set[int] = set()

    def add(self, keys: Sequence[int]) -> bool:
        """Whether there are new ones among them; in the first pass, all are taken for new."""
        if self._first_pass is not None:
            self._first_pass.extend(keys)
            return bool(keys)
        places = np.searchsorted(self._known, np.array(keys, np.int64))
        new = {
            key
            for key, place in zip(keys, places, strict=True)
            if place == len(self._known) or self._known[place] != key
        }
        found = bool(new - self._later)
        self._later |= new
        return found

    def end_pass(self) -> None:
        """After the first pass it is counted what came."""
        if self._first_pass is not None:
            self._known = np.unique(np.frombuffer(self._first_pass, np.int64))
            self._first_pass = None

    def __len__(self) -> int:
        return len(self._known) + len(self._later)


def _one_pass(fetch: Callable[[int], NumberedPage], in_order: InOrder, page_size: int) -> Iterator[NumberedPage]:
    """Each page once, as far as the latest answer says that the list goes."""
    page = fetch(1)
    yield page
    read = 1
    while (page.pages or 0) > read:
        end = page.pages or 0
        for page in in_order(fetch, range(read + 1, end + 1)):
            yield page
        read = end
    while page.pages is None and len(page.items) >= page_size:
        read += 1
        page = fetch(read)
        yield page
