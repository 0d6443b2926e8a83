"""Maps and universal constructions: the arrow of a construction and the factorisation through it."""

from tensoralg.universal.construction import Construction, Law, UniversalProperty, same
from tensoralg.universal.hom import Duality, UniversalHom, curry, duality, hom, rebracket, uncurry
from tensoralg.universal.linear import LinearMap
from tensoralg.universal.maps import MultilinearMap, generic_multilinear
from tensoralg.universal.powers import UniversalPower, exterior_power, symmetric_power
from tensoralg.universal.product import UniversalProduct, tensor_product
from tensoralg.universal.substitution import as_definition, substitute_tensors
from tensoralg.universal.sums import UniversalSum, block_diagonal, direct_sum

__all__ = [
    "Construction",
    "Duality",
    "Law",
    "LinearMap",
    "MultilinearMap",
    "UniversalHom",
    "UniversalPower",
    "UniversalProduct",
    "UniversalProperty",
    "UniversalSum",
    "as_definition",
    "block_diagonal",
    "curry",
    "direct_sum",
    "duality",
    "exterior_power",
    "generic_multilinear",
    "hom",
    "rebracket",
    "same",
    "substitute_tensors",
    "symmetric_power",
    "tensor_product",
    "uncurry",
]
