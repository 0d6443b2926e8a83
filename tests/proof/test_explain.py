"""Explanations: what they say, that LaTeX is well formed, and that nothing makes them fail."""

from __future__ import annotations

import copy
import importlib
import json
import re
from pathlib import Path
from random import Random

import pytest

import tensoralg as ta
from tensoralg.errors import InvalidExpression
from tensoralg.proof import checker
from tensoralg.proof.explain import MOST_LINES, agreement, proof_lines
from tensoralg.proof.refute import Agreement
from tensoralg.proof.show import escaped, latex, shortened, show_array, symbol, text, tidy
from tensoralg.proof.verdict import Counterexample, Verdict
from tensoralg.spaces import Injected

DOCS = Path(__file__).parents[2] / "docs"
TOKENS = {"t,s,r": "n ordered", "f,g": "d", "e": "d"}
SQUARE = {"i,j,k,l": "m"}
TWO = {"i,j,k,l": "2"}


def parse(line, indices=TOKENS, **options):
    return ta.parse(line, indices=indices, **options)


def claim(name):
    gate = {"tensors": {"a": "n"}}
    orthogonal = (parse("D[i,k] = sum(j: W_B[i,j]*W_B[k,j])", SQUARE), parse("D[i,k] = delta[i,k]", SQUARE))
    trace = "sum(j: A[j,j])"
    return {
        "reassociation": (
            parse("O[t,e] = sum(s: sum(f: Q[t,f]*K[s,f])*V[s,e])"),
            parse("O[t,e] = Q[t,f]*sum(r: K[r,f]*V[r,e])"),
        ),
        "masks": (
            parse("O[t] = sum(s,r: le[s,t]*le[r,t]*x[s]*y[r])"),
            parse("O[t] = sum(s: le[s,t]*x[s])*sum(r: le[r,t]*y[r])"),
        ),
        "softmax": (parse("O[t,s] = softmax(s: A_1[t,s] + c_2[t])"), parse("O[t,s] = softmax(s: A_1[t,s])")),
        "hypothesis": (
            parse("O[i,k] = sum(j: W_A[i,j]*sum(l: W_B[k,l]*W_B[j,l]))", SQUARE),
            parse("O[i,k] = W_A[i,k]", SQUARE),
            [orthogonal],
        ),
        "components": (
            parse("O[i,k] = sum(j: A[i,j]*A[j,k])", TWO),
            parse(
                f"O[i,k] = {trace}*A[i,k] - delta[i,k]*({trace}*sum(l: A[l,l]) - sum(j,l: A[j,l]*A[l,j]))/2",
                TWO,
            ),
        ),
        "domain": (parse("O[t] = (x[t] + y[t])/z_1[t]"), parse("O[t] = x[t]/z_1[t] + y[t]/z_1[t]")),
        "relu": (parse("O[t] = relu(W_Q[t]) - relu(-W_Q[t])"), parse("O[t] = W_Q[t]")),
        "decay": (
            parse("O[t,s] = sum(r: lt[s,r]*le[r,t]*decay(a)[t,r]*(1 - a[r]))", **gate),
            parse("O[t,s] = le[s,t] - decay(a)[t,s]", **gate),
        ),
        "refuted": (parse("O[t,e] = le[s,t]*W_A[t,s]*V[s,e]"), parse("O[t,e] = W_A[t,s]*V[s,e]")),
        "unknown": (parse("O[t] = w_1[t]/w_1[t]"), parse("O[t] = 1")),
    }[name]


PROVED = ["reassociation", "masks", "softmax", "hypothesis", "components", "domain", "relu", "decay"]
NAMES = [*PROVED, "refuted", "unknown"]


@pytest.fixture(scope="module")
def verdicts():
    return {name: ta.prove(*claim(name)) for name in NAMES}


def saved(verdict, change):
    """Return a verdict with another certificate, as JSON gives it back."""
    certificate = json.loads(json.dumps(verdict.certificate))
    change(certificate)
    return Verdict(verdict.status, verdict.reason, certificate=certificate)


# what is said


@pytest.mark.parametrize("name", PROVED)
def test_a_proof_is_shown_after_the_first_line(verdicts, name):
    verdict = verdicts[name]
    assert verdict, verdict.reason
    first, second, *rest = verdict.explain().splitlines()
    assert first == f"proved: {verdict.reason}"
    assert second.startswith("  claim   ")
    assert any(line.startswith("  terms   ") for line in rest)


def test_monomials_of_both_sides_are_matched_under_a_renaming(verdicts):
    shown = verdicts["reassociation"].explain()
    assert re.search(r"left 1 is right 1, s -> r: +sum\(f,s: Q\[t,f\]\*K\[s,f\]\*V\[s,e\]\)", shown)
    assert "steps" not in shown


def test_the_matching_is_one_between_equal_monomials(verdicts):
    lines = [line for line in verdicts["masks"].explain().splitlines() if " is right " in line]
    assert len(lines) == 6
    assert sorted(re.findall(r"is right (\d)", " ".join(lines))) == list("123456")
    assert sum("where r < s < t" in line for line in lines) == 1
    assert sum("where s < t" in line for line in lines) == 2


def test_the_rules_are_named_with_what_they_are_used_for(verdicts):
    shown = verdicts["softmax"].explain()
    assert "common factors leave the denominator:" in shown
    assert "exp(A_1[t,s] + c_2[t])*exp(-c_2[t]) = exp(A_1[t,s])" in shown
    assert "sum(s1: exp(A_1[t,s1])) != 0   for all t: it can be read off its form" in shown
    assert "hypothesis 1 at i = k, k = j:" in verdicts["hypothesis"].explain()
    assert "relu(x) = x + relu(-x)" in verdicts["relu"].explain()
    assert "the resolvent identity" in verdicts["decay"].explain()
    assert "both sides need z_1[t] != 0   for all t" in verdicts["domain"].explain()


def test_components_are_shown_case_by_case(verdicts):
    shown = verdicts["components"].explain()
    assert "indices of size 2 are written out" in shown
    assert "i = #0, k = #1 (2 of 4)" in shown
    assert "case    1 more in the same way" in shown


def test_declared_facts_are_named():
    V = ta.Space("V", ta.dims("n"))
    W = ta.Space("W", ta.dims("m"))
    U = ta.tensor("U", V @ W, isometry=True)
    x = ta.tensor("x", W)
    (i,), (a, b) = V.indices("i"), W.indices("a b")
    left = ta.define((a,), (U[i, a] * U[i, b] * x[b]).sum(i, b))
    shown = ta.prove(left, ta.define((a,), x[a])).explain()
    assert "U is an isometry:   sum(i: U[i,a]*U[i,b]) = delta[a,b]" in shown


def test_an_unknown_rule_is_shown_by_its_name(verdicts):
    def change(certificate):
        certificate["proof"]["cases"][0] = [[[], 1, 1, ["telescope", 7]]]

    assert "  steps   rule telescope" in saved(verdicts["relu"], change).explain()


def test_an_odd_automorphism_leaves_nothing():
    skew = parse("O[] = E[i,j]*S[i,j]", SQUARE, symmetry={"E": "antisym", "S": "sym"})
    assert "equal ones collected, 0 and 0" in ta.prove(skew, 0).explain()


def test_a_monomial_is_shown_with_the_sign_that_it_has():
    """The canonical form may have the other one, by antisymmetric legs."""
    for first, second in (("E[j,i]", "-1*E[i,j]"), ("E[i,j]", "-1*E[j,i]")):
        texts = [f"O[] = {factor}*x[i]*y[j]" for factor in (first, second)]
        shown = ta.prove(*(parse(text, SQUARE, symmetry={"E": "antisym"}) for text in texts)).explain()
        assert f": {first}*x[i]*y[j]" in re.sub(r"sum\(\w,\w: (.*)\)", r": \1", shown.rsplit("right 1:", 1)[1])


# bounds


def test_long_lists_end_with_how_many_are_left():
    names = [f"x{k}" for k in range(30)]
    left = parse(f"O[t] = {' + '.join(f'{x}[t]' for x in names)}")
    right = parse(f"O[t] = {' + '.join(f'{x}[t]' for x in reversed(names))}")
    shown = ta.prove(left, right).explain().splitlines()
    assert sum(" is right " in line for line in shown) == MOST_LINES
    assert shown[-1].strip() == f"and {30 - MOST_LINES} more terms"
    assert "...(19 more)..." in shown[1]


def test_too_many_monomials_are_not_expanded(monkeypatch):
    for room in ("replay", "explain"):
        monkeypatch.setattr(importlib.import_module(f"tensoralg.proof.{room}"), "MOST_WORK", 500)
    power = "*".join(["(a[t] + b[t] + c[t] + d[t] + e[t] + f[t] + g[t])"] * 4)
    verdict = ta.prove(parse(f"O[t] = {power}"), parse(f"O[t] = {power.replace('a[t] + b[t]', 'b[t] + a[t]')}"))
    assert verdict.status == "proved"
    assert "  terms   more than 500 steps multiply them out, not shown" in verdict.explain()


# LaTeX


def braces(shown):
    depth = 0
    for brace in re.findall(r"(?<!\\)(?:\\\\)*([{}])", shown):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    return depth


@pytest.mark.parametrize("name", NAMES)
def test_latex_is_well_formed(verdicts, name):
    shown = verdicts[name].explain("latex")
    assert shown.startswith("\\begin{align*}\n")
    assert shown.endswith("\n\\end{align*}")
    assert braces(shown) == 0
    for one, two in (("\\left(", "\\right)"), ("\\begin{pmatrix}", "\\end{pmatrix}")):
        assert shown.count(one) == shown.count(two)
    rows = shown.splitlines()[1:-1]
    for k, row in enumerate(rows):
        assert row.endswith(" \\\\") == (k < len(rows) - 1), row
        plain = re.sub(r"\\begin\{pmatrix\}.*?\\end\{pmatrix\}", "", row)
        assert plain.count("&") == 1, row
        # an underscore outside of words opens a subscript in braces, so no name slips through as it is
        outside = re.sub(r"\\text\{(?:[^{}\\]|\\.)*\}", "", plain)
        assert not re.search(r"(?<!\\)_(?!\{)", outside), row
        assert not re.search(r"\w_\w", row), row
        assert not re.search(r"(?<![A-Za-z\\])(le|lt|sum|decay|place)[\[(]", outside), row


def test_latex_writes_masks_deltas_and_sums():
    assert latex(("le", "s", "t")) == "\\mathbf{1}[s \\le t]"
    assert latex(("lt", "s", "t")) == "\\mathbf{1}[s < t]"
    assert latex(("delta", "i", "j")) == "\\delta_{i j}"
    assert latex(("sum", (("s", "n"),), ("+", ("t", "x", "s"), -1))) == "\\sum_{s} \\left(x_{s} - 1\\right)"
    assert latex(("*", ("num", -1, 2), ("t", "x"), ("^", ("t", "y"), -1))) == "-\\frac{x}{2\\, y}"
    assert latex(("^", ("t", "W_Q", "i"), 2)) == "{W_{Q}}_{i}^{2}"
    assert latex(("*", 0, ("t", "x"))) == "0"


def test_latex_escapes_names_and_words():
    assert symbol("W_Q_2") == "W_{Q\\_2}"
    assert symbol("a&b") == "\\text{a\\&b}"
    assert (
        escaped("100% of #1_a^b{}~\\")
        == "100\\% of \\#1\\_a\\textasciicircum{}b\\{\\}\\textasciitilde{}\\textbackslash{}"
    )


def test_latex_of_a_refutation_has_the_matrices():
    found = Counterexample({"n": 2}, {"W_A": [[1, 0], [-1, 2]], "c": 3}, {"t": 0}, 1, ("0.5", "1e-9"))
    shown = Verdict("refuted", "they differ", counterexample=found).explain("latex")
    assert "W_{A}\\text{ = }\\begin{pmatrix} 1 & 0 \\\\ -1 & 2 \\end{pmatrix}" in shown
    assert "c\\text{ = }3" in shown
    assert "0.5 +/- 1e-9" in shown
    assert braces(shown) == 0


def test_another_format_is_refused(verdicts):
    with pytest.raises(InvalidExpression, match="no format"):
        verdicts["relu"].explain("html")


# refutations and what was tried


def test_a_refutation_keeps_its_layout(verdicts):
    lines = verdicts["refuted"].explain().splitlines()
    assert lines[0] == "refuted: the sides differ at an exact witness"
    assert lines[1:] == [f"  {line}" for line in str(verdicts["refuted"].counterexample).splitlines()]
    assert [line.split()[0] for line in lines[1:]][-3:] == ["at", "left", "right"]


def test_sparse_tensors_are_shown_by_their_entries():
    sparse = {"shape": [90, 90], "entries": [[[k, k + 1], 1] for k in range(50)]}
    found = Counterexample({"n": 90}, {"A": sparse}, {}, 1, 0)
    assert "A       90 x 90, all 0 but [0,1]: 1, [1,2]: 1, " in str(found)
    assert str(found).splitlines()[1].endswith("and 38 more")
    assert show_array({"shape": [], "entries": []}) == "scalar, all 0"
    assert json.loads(json.dumps(found.to_json()))["tensors"]["A"] == sparse


def test_agreements_give_the_bound_on_chance():
    found = Agreement({"n": 4}, 3, 7, 1.2e-26)
    verdict = Verdict("unknown", "the normal forms differ", evidence={"agreements": [found]})
    assert "(deg/p)^k <= 2e-26 at n = 4" in verdict.explain()
    assert agreement({"sizes": {"n": 2}, "evaluations": 1}) == "1 random point modulo primes, no bound at n = 2"
    assert "9e-05" in agreement(Agreement({}, 2, 1, 8.01e-5))
    assert "1e-09" in agreement(Agreement({}, 2, 1, 9.5e-10))
    assert "1e-300" in agreement(Agreement({}, 2, 1, 0.0))


def test_unknown_says_what_was_tried(verdicts):
    shown = verdicts["unknown"].explain()
    assert shown.startswith("unknown: one side needs w_1[t] != 0 for all t, which is not known\n")
    assert "exact evaluations that agreed" in shown


# nothing makes it fail


def spots(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from spots(part, (*path, key))


@pytest.mark.parametrize("name", PROVED)
def test_broken_certificates_are_explained_as_far_as_they_can_be_read(verdicts, name):
    random = Random(name)
    whole = json.loads(json.dumps(verdicts[name].certificate))
    places = [path for path in spots(whole) if path]
    for path in random.sample(places, min(len(places), 120)):
        broken = copy.deepcopy(whole)
        target = broken
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = random.choice([None, 0, -3, "x", [], [[]], {}, ["t", "A"], 2.5, True])
        verdict = Verdict("proved", "as before", certificate=broken)
        for style in ("text", "latex"):
            assert "proved: as before" in verdict.explain(style)


def test_a_certificate_that_cannot_be_read_has_no_lines():
    assert proof_lines({}) is None
    assert Verdict("proved", "by hand", certificate={"claim": 1}).explain() == "proved: by hand"


# display


def test_bound_indices_are_named_apart():
    inner = ("sum", (("%0", "n"), ("%1", "n")), ("*", ("t", "A", "t", "%0"), ("t", "A", "%0", "%1")))
    assert text(tidy(inner, {"t": "t"}, {"n": ["t", "s"]})) == "sum(s,t1: A[t,s]*A[s,t1])"
    shadow = ("sum", (("t", "n"),), ("t", "x", "t"))
    assert text(tidy(shadow, {"t": "t"}, {})) == "sum(t: x[t])"
    assert text(tidy(shadow, {"b4.2": "t"}, {})) == "sum(t1: x[t1])"


def test_shortening_keeps_the_shape():
    deep = ("t", "x")
    for _ in range(30):
        deep = ("+", ("exp", deep), *(("t", f"y{k}") for k in range(20)))
    assert text(shortened(deep)).count("[") < 100
    assert shortened(("*", ("t", "x"), 2)) == ("*", ("t", "x"), 2)


# the documents


def test_the_example_of_the_format_is_a_valid_certificate():
    page = (DOCS / "certificates.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    certificate = json.loads(example)
    assert checker.check(certificate)
    assert "hypothesis 1 at i = i, k = " in Verdict("proved", "checked", certificate=certificate).explain()
    certificate["proof"]["cases"][0][0][1] = ["*", 2, ["t", "x", "m"]]
    assert not checker.check(certificate)


def test_every_rule_of_the_checker_is_documented():
    source = Path(checker.__file__).read_text(encoding="utf-8")
    instance = source[source.index("def instance(") : source.index("def selects(")]
    compared = re.findall(r"kind (?:==|!=|in) (\"\w+\"|\([^)]*\))", instance)
    rules = {rule for found in compared for rule in re.findall(r"\"(\w+)\"", found)} | set(checker.AXIOMS)
    assert {"given", "exp", "inverse", "resolvent"} <= rules
    for page in ("decision.md", "certificates.md"):
        shown = (DOCS / page).read_text(encoding="utf-8")
        table = [line.split("|")[1] for line in shown.splitlines() if line.startswith("|")]
        named = set(re.findall(r"[`\"](\w+)[`\"]", " ".join(table)))
        assert rules <= named, f"{page} lacks {sorted(rules - named)}"


def test_the_limits_and_the_version_are_those_of_the_checker():
    page = (DOCS / "certificates.md").read_text(encoding="utf-8")
    for limit in (checker.LONGEST, checker.DEEPEST, checker.WORK, checker.BITS, checker.HIGHEST):
        assert f"{limit:,}" in page
    assert f"format version {checker.VERSION}." in " ".join(page.split())


def test_indices_over_different_summands_have_different_names():
    A, B = ta.Space("A", "a"), ta.Space("B", "b")
    whole = A + B
    x, y = ta.tensors("x y", whole)
    i, j = whole.indices("i j")
    verdict = ta.prove(ta.define((), x[i] * y[j]), ta.define((), y[i] * x[j]))
    assert "left 2 is right 3, i.0 -> j.0, j.1 -> i.1:   sum(i.0,j.1: x[i.0]*y[j.1])" in verdict.explain()
    assert "z_{{i}" not in verdict.explain("latex")
    assert "x_{{i}_{(\\text{0})}}\\, y_{{j}_{(\\text{1})}}" in verdict.explain("latex")
    p, q = Injected(A.index("p"), 0, whole), Injected(B.index("q"), 1, whole)
    cut = ta.exp(x[p] * y[p]).sum(p.term) + ta.exp(x[q] * y[q]).sum(q.term)
    shown = ta.prove(ta.define((), ta.exp(x[i] * y[i]).sum(i)), ta.define((), cut)).explain()
    assert "left 1 is right 1, i.0 -> p:   sum(i.0: exp(x[i.0]*y[i.0]))" in shown
    assert "left 2 is right 2, i.1 -> q:   sum(i.1: exp(x[i.1]*y[i.1]))" in shown
    scaled = ta.prove(ta.define((i,), 2 * x[i]), ta.define((i,), x[i] + x[i])).explain()
    assert "case    i = i.0 in summand 1 (1 of 2)" in scaled
    assert "case    i = i.1 in summand 2 (2 of 2)" in scaled
