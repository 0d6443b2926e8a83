"""numpy, imported when it is first used.

It takes a third of the time that importing this library would take, and is needed only where something is evaluated.
"""

from __future__ import annotations

from typing import Any


class _Numpy:
    """Stands for numpy until an attribute of it is needed.

    Examples
    --------
    >>> _Numpy().prod([2, 3]).item()
    6
    """

    def __getattr__(self, name: str) -> Any:
        import numpy

        value = getattr(numpy, name)
        setattr(self, name, value)
        return value


np: Any = _Numpy()
