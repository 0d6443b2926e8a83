"""Dimensions, spaces and indices: the types of the expression language."""

from tensoralg.spaces.dimension import Dimension, as_dimension, check_size, check_sizes, dims
from tensoralg.spaces.index import Index
from tensoralg.spaces.names import NAME, RESERVED, check_name, is_name, split_names
from tensoralg.spaces.space import (
    Alt,
    AlternatingPower,
    DirectSum,
    Space,
    Sym,
    SymmetricPower,
    TensorProduct,
    Unit,
    UnitSpace,
    VectorSpace,
    as_space,
    contractible,
    legs_of,
    same_basis,
)
from tensoralg.spaces.terms import Fused, IndexTerm, Injected, as_index_term, atoms

__all__ = [
    "NAME",
    "RESERVED",
    "Alt",
    "AlternatingPower",
    "Dimension",
    "DirectSum",
    "Fused",
    "Index",
    "IndexTerm",
    "Injected",
    "Space",
    "Sym",
    "SymmetricPower",
    "TensorProduct",
    "Unit",
    "UnitSpace",
    "VectorSpace",
    "as_dimension",
    "as_index_term",
    "as_space",
    "atoms",
    "check_name",
    "check_size",
    "check_sizes",
    "contractible",
    "dims",
    "is_name",
    "legs_of",
    "same_basis",
    "split_names",
]
