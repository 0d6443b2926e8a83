"""Maps and universal constructions: the arrow of a construction and the factorisation through it."""

from tensoralg.universal.maps import LinearMap, MultilinearMap, generic_multilinear
from tensoralg.universal.product import Law, UniversalProduct, UniversalProperty, tensor_product
from tensoralg.universal.substitution import as_definition, substitute_tensors

__all__ = [
    "Law",
    "LinearMap",
    "MultilinearMap",
    "UniversalProduct",
    "UniversalProperty",
    "as_definition",
    "generic_multilinear",
    "substitute_tensors",
    "tensor_product",
]
