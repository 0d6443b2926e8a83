"""A module that is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Deferred:
    """Stands for a module until an attribute of it is needed.

    numpy takes a third of the time that importing this library would take, and is needed only where something is
    evaluated.

    Examples
    --------
    >>> Deferred("math").sqrt(4)
    2.0
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        return value


np: Any = Deferred("numpy")
