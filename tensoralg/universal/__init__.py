"""Maps and universal constructions: the arrow of a construction and the factorisation through it."""

from tensoralg.universal.coherence import (
    Structural,
    associator,
    braiding,
    canonical,
    distribute,
    left_distributor,
    left_unitor,
    right_distributor,
    right_unitor,
    sum_associator,
    sum_braiding,
)
from tensoralg.universal.diagrams import Diagram
from tensoralg.universal.maps import LinearMap, MultilinearMap, generic_multilinear
from tensoralg.universal.product import Law, UniversalProduct, UniversalProperty, tensor_product
from tensoralg.universal.substitution import as_definition, substitute_tensors

__all__ = [
    "Diagram",
    "Law",
    "LinearMap",
    "MultilinearMap",
    "Structural",
    "UniversalProduct",
    "UniversalProperty",
    "as_definition",
    "associator",
    "braiding",
    "canonical",
    "distribute",
    "generic_multilinear",
    "left_distributor",
    "left_unitor",
    "right_distributor",
    "right_unitor",
    "substitute_tensors",
    "sum_associator",
    "sum_braiding",
    "tensor_product",
]
