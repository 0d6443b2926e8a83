"""Complexity claims: what the operators of deep_tensor_network.py cost as they are written, and in their best order.

For every operator: the FLOPs of the order written, those of the best order, the degree of both in one size (the
tokens n, where the operator has tokens), and, where reassociation changes the order, the border.  Each is a statement
about polynomials for all sizes >= 1, decided as by `prove_cost`.  Costs count a multiply-add as two; functions,
masks, divisions and additions are counted apart and are not in them.

n are tokens, d features of queries and keys, e of values, m of the model, h heads, g groups of r heads.  The operators
are the left or right sides of claims of deep_tensor_network.py; `also` names further claims there about the same one.
A mutation is the statement without its border's condition, with one degree less, or with a cost that is too small.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sympy import Min

import tensoralg as ta
from tensoralg.claims import Claim, claim
from tensoralg.claims.collect import load_claims
from tensoralg.plan import Quantity, cost

DTN = "arXiv 2311.11091"
KATHAROPOULOS = "arXiv 2006.16236, sec. 3.2 (linear attention)"
TRANSFORMER = "arXiv 1706.03762, table 1"
n, d, e, m, h, g, r = ta.dims("n d e m h g r")
d1, d2, e1, e2 = ta.dims("d1 d2 e1 e2")
FILE = {found.name: found for found in load_claims(Path(__file__).with_name("deep_tensor_network.py"))}


@dataclass(frozen=True)
class Border:
    """Conditions on the sizes on either side of a border, and what the best order costs there."""

    below: tuple[str, ...]
    cheap_below: Any
    above: tuple[str, ...]
    cheap_above: Any


@dataclass(frozen=True)
class Operator:
    """An operator with what is claimed of its costs.

    Attributes
    ----------
    name : str
        With which the names of its claims begin.
    claim, side : str, int
        Where it stands in deep_tensor_network.py.
    written, best : sympy expression
        The FLOPs of the order written, and of the best order.
    degrees : tuple of int
        The degrees of both in the size `along`.
    border : Border, optional
        Where the best order changes.
    exact : bool
        Whether the best cost is claimed exactly, or `best` is a bound of it.
    """

    name: str
    claim: str
    written: Any
    best: Any
    degrees: tuple[int, int]
    border: Border | None = None
    side: int = 0
    along: str = "n"
    exact: bool = True
    source: str = f"{DTN} (complexity)"
    also: tuple[str, ...] = ()

    @cached_property
    def expr(self) -> ta.Expr:
        """The operator."""
        return FILE[self.claim].function()[self.side]  # type: ignore[no-any-return]

    def claims(self) -> Iterator[Claim]:
        """Yield the claims."""
        plain, best = cost(self.expr, order="written"), cost(self.expr)
        size, (before, after) = self.along, self.degrees
        yield self.claimed("cost_as_written", lambda: plain.flops == self.written, lambda: plain.flops < self.written)
        if self.exact:
            yield self.claimed("cost_at_best", lambda: best.flops == self.best, lambda: best.flops < self.best)
        else:
            yield self.claimed("cost_at_best", lambda: best.flops <= self.best, lambda: best.flops * 9 <= self.best)
        yield self.claimed(
            f"degree_in_{size}_as_written",
            lambda: plain.order_in(size) == before,
            lambda: plain.order_in(size) <= before - 1,
        )
        yield self.claimed(
            f"degree_in_{size}_at_best", lambda: best.order_in(size) == after, lambda: best.order_in(size) <= after - 1
        )
        if self.border is not None:
            yield from self.beside(self.border)
        else:
            yield self.claimed(
                "never_costs_more_than_written",
                lambda: best.flops <= self.written,
                lambda: best.flops * 9 <= self.written,
            )

    def beside(self, border: Border) -> Iterator[Claim]:
        """Yield what the best order costs on either side of a border, which is false without the condition."""
        best = cost(self.expr)
        for name, where, cheap in (
            ("cost_below_the_border", border.below, border.cheap_below),
            ("cost_above_the_border", border.above, border.cheap_above),
        ):
            stated = lambda cheap=cheap: best.flops == cheap  # noqa: E731
            yield self.claimed(name, lambda stated=stated, where=where: stated().where(list(where)), stated)

    def claimed(self, name: str, states: Any, mutation: Any) -> Claim:
        """Return a claim of the operator."""

        def statement() -> Any:
            return states()

        statement.__name__ = f"{self.name}_{name}"
        statement.__doc__ = f"{self.name} ({self.claim}): {name}".replace("_", " ")
        return claim(source=self.source, mutation=mutation)(statement)


SUMMARY = 2 * d**2 * n + 2 * d**2 * e + 4 * d * e * n
SECOND_FAST = (4 * d**2 * n + 4 * d * e * n, SUMMARY, 8 * d * e * n)
SECOND_SLOW = (
    4 * d**2 * n + 2 * d * n**2 + 2 * e * n**2,
    2 * d * n**2 + 2 * e * n**2 + 2 * n**3,
    2 * d * n**2 + 4 * e * n**2,
)  # the scores are computed once
TRILINEAR_SLOW, TRILINEAR_FAST = 2 * d * n**3 + d * n**2 + 2 * e * n**3 + e * n**2, 6 * d * e * n + d * e
SHARED_SLOW, SHARED_FAST = 2 * d * h * n**2 + 2 * e * h * n**2, 2 * d * e * h * n + 2 * d * e * n
PROJECTED, MERGED, MIXED = (
    4 * d * m * n + 2 * d * n**2,
    2 * d * m**2 + 2 * m**2 * n + 2 * m * n**2,
    4 * d * m * n + 2 * m * n**2,
)
SOFTMAX = 2 * d * n**2 + 2 * e * n**2 + n**2

OPERATORS = (
    Operator(
        "attention",
        "attention_reassociates",
        4 * n**2 * d,
        Min(4 * n**2 * d, 4 * n * d**2),
        (2, 1),
        Border(("n <= d",), 4 * n**2 * d, ("n >= d",), 4 * n * d**2),
        source=KATHAROPOULOS,
    ),
    Operator(
        "tensor_interaction",
        "tensor_interaction_mixes_channels_or_tokens",
        4 * n**2 * m,
        Min(4 * n**2 * m, 4 * n * m**2),
        (2, 1),
        Border(("n <= m",), 4 * n**2 * m, ("n >= m",), 4 * n * m**2),
        side=1,
    ),
    Operator(
        "second_order_attention",
        "second_order_attention_reassociates",
        2 * d * n**2 + 2 * e * n**2 + 2 * n**3,
        Min(*SECOND_FAST, *SECOND_SLOW),
        (3, 1),
        Border(("n <= d", "n <= e"), Min(*SECOND_SLOW), ("n >= 2*d",), Min(*SECOND_FAST)),
    ),
    Operator(
        "third_order_attention",
        "third_order_attention_reassociates",
        2 * d * n**2 + 2 * e * n**2 + 4 * n**3,
        8 * d**2 * n + 4 * d * e * n,
        (3, 1),
        exact=False,
    ),
    Operator(
        "trilinear_attention",
        "trilinear_attention_needs_no_scores",
        2 * d * n**3 + d * n**2 + 2 * e * n**3 + 2 * e * n**2,
        Min(TRILINEAR_SLOW, TRILINEAR_FAST),
        (3, 1),
        Border(
            ("2*d*n**3 + d*n**2 + 2*e*n**3 + e*n**2 <= 6*d*e*n + d*e",),
            TRILINEAR_SLOW,
            ("2*d*n**3 + d*n**2 + 2*e*n**3 + e*n**2 >= 6*d*e*n + d*e",),
            TRILINEAR_FAST,
        ),
        source="arXiv 1909.00668 (2-simplicial attention)",
    ),
    Operator(
        "multi_query_attention_without_softmax",
        "heads_of_unnormalised_multi_query_attention_share_one_summary",
        SHARED_SLOW,
        Min(SHARED_SLOW, SHARED_FAST),
        (2, 1),
        Border(("n*h*(d + e) <= d*e*(h + 1)",), SHARED_SLOW, ("n*h*(d + e) >= d*e*(h + 1)",), SHARED_FAST),
        source="arXiv 1911.02150, sec. 3",
    ),
    Operator(
        "projected_scores",
        "query_and_key_projections_merge",
        PROJECTED,
        Min(PROJECTED, MERGED, MIXED),
        (2, 2),
        Border(
            ("d <= m", "2*d*m*n + d*n**2 <= d*m**2 + m**2*n + m*n**2"),
            PROJECTED,
            ("m <= d", "2*d*n >= d*m + m*n"),
            MERGED,
        ),
        source="textbook",
    ),
    Operator(
        "softmax_attention",
        "softmax_attention_is_normalised_exponential_kernel_attention",
        SOFTMAX,
        SOFTMAX,
        (2, 2),
        source=TRANSFORMER,
        also=(
            "dot_product_attention_is_tensor_attention_with_the_metric",
            "softmax_attention_ignores_functions_of_the_query",
            "key_biases_cancel",
            "softmax_attention_is_permutation_equivariant",
            "softmax_attention_ignores_the_order_of_the_keys",
        ),
    ),
    Operator(
        "softmax_attention_by_a_linear_form",
        "dot_product_attention_is_tensor_attention_with_the_metric",
        SOFTMAX,
        SOFTMAX,
        (2, 2),
    ),
    Operator(
        "softmax_attention_to_mixed_values",
        "softmax_attention_is_linear_in_the_values",
        SOFTMAX + 2 * e * n,
        SOFTMAX + 2 * e * n,
        (2, 2),
        exact=False,
        source="textbook",
    ),
    Operator(
        "causal_attention",
        "causal_attention_is_the_query_times_a_prefix_sum",
        3 * d * n**2 + 2 * e * n**2,
        2 * d * n**2 + 2 * e * n**2,
        (2, 2),
        source=KATHAROPOULOS,
        also=("the_prefix_sum_splits_into_the_past_and_the_present", "a_token_answers_itself_and_its_past"),
    ),
    Operator(
        "multi_head_attention",
        "multi_head_attention_is_block_diagonal",
        h * SOFTMAX,
        h * SOFTMAX,
        (2, 2),
        side=1,
        source=TRANSFORMER,
    ),
    Operator(
        "multi_query_attention",
        "multi_query_attention_is_tied_multi_head_attention",
        h * SOFTMAX,
        h * SOFTMAX,
        (2, 2),
        side=1,
        source="arXiv 1911.02150, sec. 3",
    ),
    Operator(
        "grouped_query_attention",
        "grouped_query_attention_is_tied_multi_head_attention",
        g * r * SOFTMAX,
        g * r * SOFTMAX,
        (2, 2),
        side=1,
        source="arXiv 2305.13245, sec. 2.2",
    ),
    Operator(
        "scores_of_all_heads",
        "heads_are_one_product_index",
        2 * d * h * n**2,
        2 * d * h * n**2,
        (2, 2),
        source=TRANSFORMER,
    ),
    Operator(
        "output_projection",
        "concatenated_heads_project_one_by_one",
        2 * e * h * m * n,
        2 * e * h * m * n,
        (1, 1),
        source=TRANSFORMER,
    ),
    Operator(
        "two_heads",
        "two_heads_are_a_direct_sum",
        2 * (d1 + d2 + e1 + e2) * n**2 + 2 * (e1 + e2) * m * n,
        4 * (d1 * e1 + d2 * e2) * n + 2 * (e1 + e2) * m * n,
        (2, 1),
        side=1,
        exact=False,
        source=TRANSFORMER,
    ),
    Operator(
        "bilinear_score",
        "bilinear_scores_factor_through_the_tensor_product",
        2 * d**2 + 2 * d,
        2 * d**2 + 2 * d,
        (2, 2),
        along="d",
    ),
    Operator(
        "trilinear_score",
        "trilinear_scores_factor_through_the_triple_product",
        3 * d,
        3 * d,
        (1, 1),
        along="d",
        source="arXiv 1909.00668 (2-simplicial attention)",
    ),
)

globals().update({found.name: found for operator in OPERATORS for found in operator.claims()})


# Reductions: what reassociation saves, by how much, and from where on.


def of(name: str, side: int = 0) -> ta.Expr:
    """Return one side of a claim of deep_tensor_network.py."""
    return FILE[name].function()[side]  # type: ignore[no-any-return]


def flops(name: str, order: str = "best", side: int = 0) -> Quantity:
    """Return the FLOPs of an operator."""
    return cost(of(name, side), order=order).flops


@claim(
    source=KATHAROPOULOS,
    mutation=lambda: (flops("attention_reassociates") * 64 <= flops("attention_reassociates", "written")).where(
        "n >= 63*d"
    ),
)
def attention_is_64_times_cheaper_from_64_d_tokens_on():
    """With n >= 64 d tokens the best order of attention takes at most a 64th of the FLOPs of scores first."""
    return (flops("attention_reassociates") * 64 <= flops("attention_reassociates", "written")).where("n >= 64*d")


@claim(
    source=f"{DTN} (complexity)",
    mutation=lambda: (
        flops("second_order_attention_reassociates") < flops("second_order_attention_reassociates", "written")
    ),
)
def second_order_attention_is_cheaper_from_2_d_tokens_on():
    """With more than 2 d tokens and no more value features than features, the best order beats the scores."""
    best, written = (flops("second_order_attention_reassociates", order) for order in ("best", "written"))
    return (best < written).where("n >= 2*d, d >= e")


@claim(
    source=f"{DTN} (complexity)",
    mutation=lambda: (
        flops("third_order_attention_reassociates", "written", 1)
        <= flops("third_order_attention_reassociates", "written")
    ),
)
def third_order_summaries_pay_from_an_exact_border_on():
    """The summaries of third order cost no more than the scores exactly where 4 d^2 + 2 d e <= 2 n^2 + n (d + e)."""
    summaries, scores = (flops("third_order_attention_reassociates", "written", side) for side in (1, 0))
    return (summaries <= scores).where("4*d**2 + 2*d*e <= 2*n**2 + n*(d + e)")


@claim(source=f"{DTN} (complexity)")
def third_order_scores_pay_up_to_that_border():
    """On the other side of the border the scores are no dearer than the summaries."""
    summaries, scores = (flops("third_order_attention_reassociates", "written", side) for side in (1, 0))
    return (scores <= summaries).where("4*d**2 + 2*d*e >= 2*n**2 + n*(d + e)")


@claim(source="a mistake: small n", expected="refuted")
def reassociation_always_pays():
    """With fewer tokens than features the d x d summary costs more than the scores."""
    return flops("attention_reassociates", "written", 1) <= flops("attention_reassociates", "written")


@claim(source="a mistake: the exponential stands between the products", expected="refuted")
def softmax_attention_is_as_cheap_as_attention_without():
    """No order takes softmax attention below the scores, so it costs more once n > d."""
    softmax = flops("softmax_attention_is_normalised_exponential_kernel_attention")
    return (softmax <= 4 * n * d * e).where("n >= d, n >= e")


@claim(source="a mistake: the mask stands between the products", expected="refuted")
def causal_attention_is_linear_without_a_state():
    """A contraction order alone does not make causal attention linear; a running state does."""
    return cost(of("causal_attention_is_the_query_times_a_prefix_sum")).order_in("n") == 1


@claim(source="a mistake: the border is not where a size is 1 more", expected="refuted")
def attention_changes_its_order_at_twice_the_features():
    """At n = 2 d the summaries are already half the price."""
    return (flops("attention_reassociates") == 4 * n**2 * d).where("n <= 2*d")
