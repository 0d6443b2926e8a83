"""Maps and universal constructions: the arrow of a construction and the factorisation through it."""

from tensoralg.universal.algebra import GradedAlgebra
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
from tensoralg.universal.construction import Construction, Law, UniversalProperty, same
from tensoralg.universal.diagrams import Diagram
from tensoralg.universal.exponential import Exponential
from tensoralg.universal.hom import Duality, UniversalHom, curry, duality, hom, rebracket, uncurry
from tensoralg.universal.linear import LinearMap
from tensoralg.universal.maps import MultilinearMap, generic_multilinear
from tensoralg.universal.powers import UniversalPower, exterior_power, symmetric_power
from tensoralg.universal.product import UniversalProduct, tensor_product
from tensoralg.universal.substitution import as_definition, substitute_tensors
from tensoralg.universal.sums import UniversalSum, block_diagonal, direct_sum

__all__ = [
    "Construction",
    "Diagram",
    "Duality",
    "Exponential",
    "GradedAlgebra",
    "Law",
    "LinearMap",
    "MultilinearMap",
    "Structural",
    "UniversalHom",
    "UniversalPower",
    "UniversalProduct",
    "UniversalProperty",
    "UniversalSum",
    "as_definition",
    "associator",
    "block_diagonal",
    "braiding",
    "canonical",
    "curry",
    "direct_sum",
    "distribute",
    "duality",
    "exterior_power",
    "generic_multilinear",
    "hom",
    "left_distributor",
    "left_unitor",
    "rebracket",
    "right_distributor",
    "right_unitor",
    "same",
    "substitute_tensors",
    "sum_associator",
    "sum_braiding",
    "symmetric_power",
    "tensor_product",
    "uncurry",
]
