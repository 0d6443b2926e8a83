"""Arrays and sizes: nested lists read as exact numbers, and the size of every dimension."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy

from tensoralg.errors import EvaluationError, InvalidSize, MissingSize, ShapeMismatch, counted
from tensoralg.expr.deferred import np
from tensoralg.expr.rewrite import distinct_nodes
from tensoralg.spaces import Fused, Index, IndexTerm, VectorSpace, atoms, check_sizes

if TYPE_CHECKING:
    from tensoralg.expr import nodes


def exact_array(name: str, value: Any) -> Any:
    """Return nested lists, or anything that numpy reads, as an object array of ints and Fractions.

    Lists are read entry by entry: numpy would round what holds integers beside floats.

    Examples
    --------
    >>> exact_array("x", [2**70, 0.5]).tolist()
    [1180591620717411303424, Fraction(1, 2)]
    """
    if isinstance(value, list | tuple):
        shape = _shape(value)
    else:
        array = np.asarray(value)
        shape, value = array.shape, array.tolist()
    exact = np.empty(shape, dtype=object)
    _fill(exact, (), value, name)
    return exact


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list | tuple | np.ndarray):
        shape.append(len(value))
        if not len(value):
            break
        value = value[0]
    return tuple(shape)


def _fill(exact: Any, place: tuple[int, ...], value: Any, name: str) -> None:
    deep = isinstance(value, list | tuple | np.ndarray)
    if deep != (len(place) < exact.ndim) or (deep and len(value) != exact.shape[len(place)]):
        where = name + "".join(f"[{k}]" for k in place)
        found = f"has {counted(len(value), 'entry', 'entries')}" if deep else f"is the number {value!r}"
        raise ShapeMismatch(
            f"the array for {name} is ragged: {where} {found}, unlike its neighbours",
            remedy="give nested lists of equal lengths",
            tensor=name,
            place=place,
        )
    if not deep:
        exact[place] = exact_number(name, value)
        return
    for k, part in enumerate(value):
        _fill(exact, (*place, k), part, name)


def exact_number(name: str, value: Any) -> int | Fraction:
    """Return an entry of the array for `name` as the rational number that it is."""
    item = value.item() if isinstance(value, np.generic) else value
    if isinstance(item, int):
        return int(item)
    if isinstance(item, Fraction):
        return item
    if isinstance(item, float) and math.isfinite(item):
        return Fraction(item)
    if isinstance(item, sympy.Rational):
        return Fraction(int(item.p), int(item.q))
    raise EvaluationError(
        f"the array for {name} holds {reprlib.repr(item)}, which is no exact number",
        remedy="use ints, Fractions or finite floats",
        tensor=name,
        value=item,
    )


def size_of(dimension: Any, sizes: Mapping[str, int]) -> int:
    """Return a (composite) dimension as a number at the given sizes."""
    if isinstance(dimension, int):
        return dimension
    if isinstance(dimension, sympy.Symbol):
        return sizes[dimension.name]
    symbols = {s: sizes[s.name] for s in sympy.sympify(dimension).free_symbols}
    return int(sympy.sympify(dimension).subs(symbols))


def spaces_mentioned(expr: nodes.Expr) -> list[VectorSpace]:
    """Return the spaces of all indices and legs in an expression, each object once."""
    found: dict[int, VectorSpace] = {}  # by identity: hashing a space hashes its dimension, a sympy expression
    symbols: dict[int, Any] = {}
    for node in distinct_nodes(expr):
        for term in (*node.index_terms(), *getattr(node, "indices", ()), *getattr(node, "legs", ())):
            space = term.space  # an index in a summand depends on the whole sum
            found[id(space)] = space
            if not isinstance(term, Index):
                found.update((id(atom.space), atom.space) for atom in atoms(term))
        symbol = getattr(node, "tensor", None)
        if symbol is not None and id(symbol) not in symbols:
            symbols[id(symbol)] = symbol
            found.update((id(leg), leg) for leg in symbol.legs)
    return list(found.values())


def all_dimensions(expr: nodes.Expr) -> set[str]:
    """Return the dimension symbols that occur in an expression."""
    found = {s.name for space in spaces_mentioned(expr) for s in sympy.sympify(space.dimension).free_symbols}
    for node in distinct_nodes(expr):
        if node.kind == "size":
            found.add(getattr(node, "name"))  # noqa: B009
        elif node.kind == "near":
            found |= all_dimensions(getattr(node, "width"))  # noqa: B009
    return found


def place_of(term: IndexTerm, grid: Mapping[str, Any], sizes: Mapping[str, int]) -> Any:
    """Return the number of the basis vector that a term stands for, where `grid` says that of every index.

    Examples
    --------
    >>> from tensoralg.spaces import Space
    >>> i, j = Space("V", 2).index("i"), Space("W", 3).index("j")
    >>> place_of(Fused((i, j)), {"i": 1, "j": 2}, {})
    5
    """
    if isinstance(term, Index):
        return grid[term.name]
    if isinstance(term, Fused):
        found: Any = 0
        for part in term.parts:
            found = found * size_of(part.space.dimension, sizes) + place_of(part, grid, sizes)
        return found
    before = sum(size_of(space.dimension, sizes) for space in term.space.summands[: term.position])
    return before + place_of(term.term, grid, sizes)


def infer_sizes(
    tensors: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    given: Mapping[str, object] | None,
    dimensions: Iterable[str],
) -> dict[str, int]:
    """Return the size of every dimension, read from the shapes of the arrays and from `given`.

    Raises
    ------
    ShapeMismatch
        If an array has the wrong number of axes or two arrays disagree.
    MissingSize, UnknownSize, InvalidSize
        If a size is missing, superfluous or not a positive integer.
    """
    known = set(dimensions)
    sizes = check_sizes(given, known)
    source = dict.fromkeys(sizes, "the given sizes")
    for name, shape in shapes.items():
        legs = tensors[name].legs
        if len(shape) != len(legs):
            raise ShapeMismatch(
                f"tensor {tensors[name]} has {counted(len(legs), 'leg')} but its array has shape {shape}",
                remedy=f"give one axis for each of {', '.join(map(str, legs))}" if legs else "give a number",
                tensor=name,
                shape=shape,
            )
        for leg, extent in zip(legs, shape, strict=True):
            dimension = leg.dimension
            if isinstance(dimension, sympy.Symbol):
                if extent < 1:
                    raise InvalidSize(
                        f"an axis of {name} over {leg} has size {extent}", remedy="sizes are >= 1", tensor=name
                    )
                if sizes.setdefault(dimension.name, extent) != extent:
                    raise ShapeMismatch(
                        f"dimension {dimension} is {extent} in the array for {name} but {sizes[dimension.name]} in "
                        f"{source[dimension.name]}",
                        remedy="make the shapes agree",
                        tensor=name,
                    )
                source.setdefault(dimension.name, f"the array for {name}")
    missing = sorted(known - set(sizes))
    if missing:
        raise MissingSize(f"no size for dimension {', '.join(missing)}", remedy="pass it in sizes", name=missing[0])
    for name, shape in shapes.items():
        for leg, extent in zip(tensors[name].legs, shape, strict=True):
            wanted = size_of(leg.dimension, sizes)
            if wanted != extent:
                raise ShapeMismatch(
                    f"the array for {name} has {extent} entries along {leg} of dimension {leg.dimension} = {wanted}",
                    remedy="make the shapes agree",
                    tensor=name,
                )
    return sizes
