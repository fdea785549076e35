"""What a load raises for a person to read: the message says what stands in the way and what to do."""

from __future__ import annotations


class LoadProblem(Exception):
    """A load can't be done, or not all of it; its subclasses are beside what raises them."""
