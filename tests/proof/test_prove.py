"""The three verdicts on claims whose truth is known."""

import itertools
from fractions import Fraction

import pytest

import tensoralg as ta
from tensoralg.errors import (
    FactConflict,
    FreeIndexMismatch,
    InvalidExpression,
    InvalidSize,
    SpaceMismatch,
    TensoralgError,
    UnknownSize,
)
from tensoralg.spaces import Injected

MORE = "i,j,k,a: q; t,s,u,r: n ordered"
INDICES = "t,s,r,u,v,w: n; f,g: d; e: d; i,j,k,l: m"


def prove(left, right, free="", indices=INDICES, tensors=None, symmetry=None, **options):
    sides = [ta.parse(text, indices=indices, free=free, tensors=tensors, symmetry=symmetry) for text in (left, right)]
    return ta.prove(*sides, **options)


PROVED = [
    ("Q[t,f]*K[s,f]*V[s,e]", "V[s,e]*sum(f: K[s,f]*Q[t,f])", "t,e"),
    ("le[t,s]", "lt[t,s] + delta[t,s]", "t,s"),
    ("A[i,j]*A[j,i]", "A[k,l]*A[l,k]", ""),
    ("sum(s: 1)", "n", ""),
    ("le[s,r]*x[s]*x[r] + lt[s,r]*x[s]*x[r]", "x[s]*x[r]", ""),
    ("1 - le[t,s]", "lt[s,t]", "t,s"),
    ("sum(s: lt[s,t]) + sum(s: lt[t,s])", "n - 1", "t"),
    ("sum(t,s: lt[t,s])", "n*(n - 1)/2", ""),
    ("pow(sum(s: le[s,t]*x[s]), 2)", "2*lt[r,s]*le[s,t]*x[r]*x[s] + le[s,t]*pow(x[s],2)", "t"),
    ("exp(x[i] + y[i])", "exp(x[i])*exp(y[i])", "i"),
    ("exp(le[s,t]*x[s])", "le[s,t]*exp(x[s]) + 1 - le[s,t]", "s,t"),
    ("exp(delta[i,j]*x[i])", "1 + delta[i,j]*(exp(x[i]) - 1)", "i,j"),
    ("1/(1 + exp(-x[i]))", "exp(x[i])/(1 + exp(x[i]))", "i"),
    ("log(exp(x[i])*exp(y[i]))", "x[i] + y[i]", "i"),
    ("sqrt(d)*sqrt(d)", "d", ""),
    ("1/sqrt(d)*sqrt(d) + sqrt(8*d)", "1 + 2*sqrt(2)*sqrt(d)", ""),
    ("relu(2*x[i])", "2*relu(x[i])", "i"),
    ("1/z1[] - 1/(z1[] + z2[])", "z2[]/(z1[]*(z1[] + z2[]))", ""),
    ("sum(s: exp(A[t,s]))/sum(s: exp(A[t,s]))", "1", "t"),
    ("x[i]/y[i]", "x[i]*(1/y[i])", "i"),
]


@pytest.mark.parametrize(("left", "right", "free"), PROVED)
@pytest.mark.filterwarnings("ignore::tensoralg.errors.ImplicitSumWarning")
def test_proved(left, right, free):
    verdict = prove(left, right, free)
    assert verdict, verdict.explain()
    assert verdict.counterexample is None
    assert verdict.certificate is not None


REFUTED = [
    ("A[i,j]*A[i,j]", "A[k,l]*A[l,k]", "", {}),
    ("exp(A[t,s] + c[s])/sum(r: exp(A[t,r] + c[r]))", "softmax(s: A[t,s])", "t,s", {}),
    ("le[t,s]", "lt[t,s]", "t,s", {}),
    ("n", "n*n", "", {"n": 2}),
    ("x[i]*y[i]", "x[j]*sum(i: y[i])", "", {}),
]


@pytest.mark.parametrize(("left", "right", "free", "sizes"), REFUTED)
def test_refuted(left, right, free, sizes):
    verdict = prove(left, right, free)
    assert verdict.status == "refuted"
    assert not verdict
    assert sizes.items() <= verdict.counterexample.sizes.items()
    assert "left" in verdict.explain()


def test_nested_functions_do_not_depend_on_variables_that_only_refine_their_chains():
    split = "exp(sum(i,j: le[t,i]*u[j]*S[i,i] + lt[i,t]*u[j]*S[i,i]))"
    assert prove("exp(sum(i,j: u[j]*S[i,i]))", split, "t", indices="t,i: n; j: d")


def test_the_width_of_a_window_is_a_dimension():
    """A dimension that occurs only as a width had no size when counterexamples were tried."""
    assert prove("near[t,s,d] + le[t,s]", "le[t,s] + near[t,s,d]", "t,s", indices="t,s: n ordered; f: d")
    assert prove("near[t,s,d]", "le[t,s]", "t,s", indices="t,s: n ordered; f: d").status == "refuted"


def test_empty_chains_are_no_chains():
    """Counting out every block left an empty chain that was not the same as no chain."""
    assert prove("sum(i,j: S[i,i] + 1 - le[i,j] - lt[j,i])", "m*S[i,i]")


@pytest.mark.parametrize("m", range(2, 9))
def test_powers_of_the_strict_mask_vanish_only_at_small_sizes(m):
    """Checking sizes 2 to 5 would call (strict mask)^5 = 0 true; the witness has size m + 1."""
    names = [f"a{k}" for k in range(m + 1)]
    chain = "*".join(f"lt[{a},{b}]" for a, b in itertools.pairwise(names))
    verdict = prove(chain, "0*delta[a0,a0]", "", indices=f"{','.join(names)}: n")
    assert verdict.status == "refuted"
    assert verdict.counterexample.sizes == {"n": m + 1}
    assert (verdict.counterexample.lhs, verdict.counterexample.rhs) == (1, 0)


class TestFoundByReview:
    """Each of these was answered wrongly once."""

    def test_open_variables_stay_open_when_their_block_grows(self):
        left, right = "x[s]*exp(sum(r: le[r,s]*y[r]))", "x[s]*exp(y[s])*exp(sum(r: lt[r,s]*y[r]))"
        assert prove(left, right, indices=MORE)
        assert not prove("sum(s: x[s]*relu(sum(r: le[r,s])))", "sum(s: x[s]*relu(sum(r: lt[r,s]) + n))", indices=MORE)

    def test_coefficients_stay_exact_beside_roots(self):
        large = 10**60
        assert not prove(f"sqrt(q)*x[i]*{large + 1}", f"sqrt(q)*x[i]*{large}", "i", indices=MORE)
        assert prove("sqrt(q)*x[i]/10 + sqrt(q)*x[i]*2/10", "sqrt(q)*x[i]*3/10", "i", indices=MORE)

    def test_powers_of_a_logarithm(self):
        assert prove("pow(log(exp(sum(i: x[i]))), 2)", "pow(sum(i: x[i]), 2)", indices=MORE)
        assert not prove("1/log(6) + 1/log(2)", "2/log(2) + 0/log(6)", indices=MORE)
        assert prove("1/log(1) + x[i]", "x[i] + 1/log(1)", "i", indices=MORE).status == "unknown"

    def test_free_indices_with_names_like_those_of_bound_ones(self):
        spaces = "v1,v2,a: q"
        left = "exp(delta[v1,v2]*sum(a: A[v1,a]*x[a]))"
        assert prove(left, "1 + delta[v1,v2]*(exp(sum(a: A[v2,a]*x[a])) - 1)", "v1,v2", indices=spaces)
        assert not prove(left, "1 + delta[v1,v2]*(exp(sum(a: A[a,a]*x[a])) - 1)", "v1,v2", indices=spaces)

    def test_blocks_of_a_tensor_are_no_other_tensor(self):
        total = ta.Space("A", "a") + ta.Space("B", "b")
        i = total.summands[0].index("i")
        whole, other = ta.tensor("v", (total,)), ta.tensor("v__0", total.summands[0])
        assert not ta.prove(whole[Injected(i, 0, total)], other[i])

    def test_conditions_are_judged_for_every_fixed_component(self):
        ratio = "sum(s: lt[s,t]*exp(x[s]))"
        assert not prove(f"{ratio}/{ratio}", "sum(s: lt[s,t])", "t", indices=MORE, sizes={"n": 2})

    def test_two_inverses_of_one_matrix_are_equal_in_every_witness(self):
        space = ta.Space("V", "n")
        i, j, k = space.indices("i j k")
        A = ta.tensor("A", space @ space)
        B, C = (ta.tensor(name, space @ space, inverse_of="A") for name in "BC")
        assert ta.prove((B[i, j] * A[j, k]).sum(j), (C[i, j] * A[j, k]).sum(j))
        assert ta.prove(B[i, j], C[i, j]).status != "refuted"

    def test_repeated_symmetric_entries_are_one_power(self):
        left, right = "Y[i,j]*Y[i,j]*Y[j,k]*Y[k,a]", "Y[i,j]*Y[j,i]*Y[j,k]*Y[k,a]"
        assert prove(left, right, "a", indices=MORE, symmetry={"Y": "sym"})

    def test_a_variable_that_a_function_loses_is_counted(self):
        assert prove("sum(i: exp(x[i] - x[i]))", "q", indices=MORE)
        assert prove("sum(t: exp(le[s,t]*c[] + lt[t,s]*c[]))", "n*exp(c[])", "s", indices=MORE)

    def test_mirrored_masks_inside_functions(self):
        left = "le[t,s]*relu(sum(r: le[t,r]*lt[r,s]*y[r]) + sum(r: le[s,r]*y[r]))"
        assert prove(left, "le[t,s]*relu(sum(r: le[t,r]*y[r]))", "t,s", indices=MORE)

    def test_denominators_that_differ_by_a_factor(self):
        assert prove("1/(x[i] - y[i])", "-1/(y[i] - x[i])", "i", indices=MORE)
        assert prove("1/(2*x[i] + 2*y[i])", "1/2/(x[i] + y[i])", "i", indices=MORE)

    def test_hypotheses_may_come_in_any_order(self):
        twice, shifted = ta.parse("D[i] = relu(C[i])", MORE), ta.parse("C[i] = x[i] + 1", MORE)
        d, c = (ta.parse(f"{name}[i]", MORE, free="i") for name in "DC")
        goal = ta.parse("relu(x[i] + 1)", MORE, free="i")
        assert ta.prove(d, goal, given=[(d, twice), (c, shifted)])
        assert ta.prove(d, goal, given=[(c, shifted), (d, twice)])

    def test_a_space_of_dimension_one(self):
        assert prove("sum(o: x[o])*sum(o: y[o])", "x[o]*y[o]", indices="o: 1")

    @pytest.mark.parametrize(
        "options", [{"given": [1]}, {"given": None}, {"sizes": [("n", 1)]}, {"budget": "a"}, {"seed": [1]}]
    )
    def test_options_of_the_wrong_kind(self, options):
        with pytest.raises(TensoralgError):
            prove("x[i]", "x[i]", "i", **options)


class TestDomain:
    def test_a_cancelled_denominator_that_can_vanish_is_not_proved(self):
        verdict = prove("x[i]/x[i]", "1", "i")
        assert verdict.status == "unknown"
        assert "x[i] != 0" in verdict.explain()

    def test_a_shared_denominator_is_the_claims_own_domain(self):
        verdict = prove("A[t,s]*x[s]/y[t]", "x[s]*A[t,s]/y[t]", "t")
        assert verdict
        assert "y[t] != 0" in verdict.explain()

    def test_an_empty_sum_of_exponentials_is_not_positive(self):
        ratio = "sum(t: lt[t,s]*exp(x[t]))"
        assert prove(f"{ratio}/{ratio}", "1", "s").status == "unknown"
        inclusive = "sum(t: le[t,s]*exp(x[t]))"
        assert prove(f"{inclusive}/{inclusive}", "1", "s").status == "proved"

    def test_sizes_are_at_least_one(self):
        assert prove("(n - 1)/(n - 1)", "1").status == "unknown"
        assert prove("(n + 1)/(n + 1)", "1").status == "proved"

    def test_roots_need_a_sign(self):
        assert prove("sqrt(x[i])*sqrt(x[i])", "x[i]", "i").status == "unknown"
        assert prove("sqrt(x[i])*sqrt(x[i])", "x[i]", "i", tensors={"x": "m positive"}).status == "proved"


class TestFacts:
    def test_isometry(self):
        isometry = {"U": "m n isometry"}
        assert prove("U[i,t]*U[i,s]", "delta[t,s]", "t,s", tensors=isometry)
        assert prove("U[t,i]*U[s,i]", "delta[t,s]", "t,s", tensors={"U": "n m isometry"}).status == "refuted"

    def test_a_hyperedge_is_not_rewritten(self):
        isometry = {"U": "m n isometry"}
        verdict = prove("U[i,t]*U[i,s]*x[i]", "delta[t,s]*sum(i: x[i])", "t,s", tensors=isometry)
        assert verdict.status == "refuted"

    def test_a_permutation_comes_out_of_functions(self):
        permutation = {"P": "n n permutation"}
        scores = "sum(f,r,u: P[t,r]*Q[r,f]*P[s,u]*K[u,f])"
        left = f"softmax(s: {scores})*sum(v: P[s,v]*V[v,e])"
        right = "P[t,r]*softmax(s: sum(f: Q[r,f]*K[s,f]))*V[s,e]"
        assert prove(left, right, "t,e", tensors=permutation)
        assert prove(left, right, "t,e").status == "refuted"

    def test_symmetry(self):
        assert prove("A[i,j]*A[i,j]", "A[k,l]*A[l,k]", symmetry={"A": "sym"})
        assert prove("A[i,j]*x[i]*x[j]", "0*x[i]", symmetry={"A": "antisym"})
        assert prove("A[i,j,k]*x[j]*x[k]", "0*A[i,j,j]", "i", symmetry={"A": ("antisym", (1, 2))})

    def test_facts_of_one_side_hold_on_both(self):
        left = ta.parse("A[i,j]", indices=INDICES, free="i,j", symmetry={"A": "sym"})
        right = ta.parse("A[j,i]", indices=INDICES, free="i,j")
        assert ta.prove(left, right)


class TestFixedSizes:
    square = "A[t,s]*A[s,r] - sum(s: A[s,s])*A[t,r]"
    determinant = "1/2*(sum(s: A[s,s])*sum(u: A[u,u]) - sum(s,u: A[s,u]*A[u,s]))*delta[t,r]"

    def test_cayley_hamilton(self):
        claim = (f"{self.square} + {self.determinant}", "0*delta[t,r]", "t,r")
        assert prove(*claim, sizes={"n": 2})
        assert prove(*claim, sizes={"n": 3}).status == "refuted"
        assert prove(*claim).status == "refuted"

    def test_unknown_and_wrong_sizes(self):
        with pytest.raises(UnknownSize, match="'z'") as caught:
            prove("n", "n", sizes={"z": 2})
        assert caught.value.name == "z"
        for wrong in (0, -1, 1.5, "2"):
            with pytest.raises(InvalidSize, match="positive integer"):
                prove("n", "n", sizes={"n": wrong})


class TestHypotheses:
    def test_a_defining_equation_is_used(self):
        state = ta.parse("S[t,f] = le[s,t]*K[s,f]*x[s]", indices=INDICES)
        symbol = ta.tensor("S", [leg.space for leg in state.legs])
        left = ta.parse("O[t] = Q[t,f]*S[t,f]", indices=INDICES)
        right = ta.parse("O[t] = le[s,t]*Q[t,f]*K[s,f]*x[s]", indices=INDICES)
        assert ta.prove(left, right, given=[(ta.define(state.legs, symbol[state.legs]), state)])
        assert ta.prove(left, right).status == "refuted"

    def test_a_witness_satisfies_defining_equations(self):
        indices = "i,j: m"
        double = ta.parse("y[i] = 2*x[i]", indices=indices)
        y = ta.parse("y[i]", indices=indices, free="i")
        verdict = ta.prove(y, ta.parse("3*x[i]", indices=indices, free="i"), given=[(y, double)])
        assert verdict.status == "refuted"
        values = verdict.counterexample.tensors
        assert values["y"] == [2 * v for v in values["x"]]


class TestBadInput:
    def test_free_indices_must_agree(self):
        with pytest.raises(FreeIndexMismatch, match="make free on both sides: s") as caught:
            ta.prove(ta.parse("A[t,s]", INDICES, free="t,s"), ta.parse("x[t]", INDICES, free="t"))
        assert caught.value.left == ("t", "s")

    def test_zero_is_a_side_for_any_free_indices(self):
        assert ta.prove(ta.parse("A[t,s] - A[t,s]", INDICES, free="t,s"), 0)

    def test_a_side_must_be_an_expression(self):
        with pytest.raises(InvalidExpression, match="no side of a claim"):
            ta.prove("A[t,s]", 0)

    def test_one_name_is_one_space(self):
        left = ta.define((i := ta.Space("T", "n").index("i"),), ta.tensor("x", i.space)[i])
        right = ta.define((j := ta.Space("T", "m").index("i"),), ta.tensor("y", j.space)[j])
        with pytest.raises(FactConflict, match="space T has dimension n"):
            ta.prove(left, right)

    def test_a_free_index_has_one_space(self):
        left = ta.define((i := ta.Space("T", "n").index("i"),), ta.tensor("x", i.space)[i])
        right = ta.define((j := ta.Space("S", "n").index("i"),), ta.tensor("y", j.space)[j])
        with pytest.raises(SpaceMismatch, match="over T on the left and over S on the right"):
            ta.prove(left, right)


def test_values_of_a_witness_are_exact():
    verdict = prove("x[i]/3", "x[i]/2", "i")
    assert isinstance(verdict.counterexample.lhs, Fraction)
    assert verdict.counterexample.lhs == Fraction(verdict.counterexample.tensors["x"][0], 3)


class TestTheGroundField:
    """An index over the ground field takes one value, also as a summand and inside a product."""

    V = ta.Space("V", "n")
    S = V + ta.Unit
    x = ta.tensor("x", (S,))
    y = ta.tensor("y", (ta.Unit,))

    def test_identities(self):
        i, j = self.S.indices("i j")
        (u,) = ta.Unit.indices("u")
        n = ta.dims("n")
        assert ta.prove(ta.define((), ta.delta[i, i].sum(i)), ta.define((), n + 1))
        assert ta.prove(ta.define((i,), ta.delta[i, j] * self.x[j]), ta.define((i,), self.x[i]))
        assert ta.prove(ta.define((), self.y[u] * self.y[u]), ta.define((), self.y[u].sum(u) ** 2))

    def test_a_near_miss_is_refuted(self):
        i = self.S.index("i")
        verdict = ta.prove(ta.define((), self.x[i] * self.x[i]), ta.define((), 2 * self.x[i] * self.x[i]))
        assert verdict.status == "refuted"
        assert verdict.counterexample.lhs * 2 == verdict.counterexample.rhs
