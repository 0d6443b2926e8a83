"""Operators written by hand in PyTorch, in every order and form that a user might try; the best one counts.

All functions take arrays (heads, n, 64) and, where weights occur, weights without batch axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Form = Callable[..., Tensor]


def four(x: Tensor) -> Tensor:
    """Return an array with four axes, as the fast kernels of attention want it."""
    return x.unsqueeze(0)


def attention(causal: bool) -> Form:
    """Return torch's fused attention, for three axes."""
    return lambda Q, K, V: scaled_dot_product_attention(four(Q), four(K), four(V), is_causal=causal).squeeze(0)


def materialised(causal: bool) -> Form:
    """Return attention with its weights as an array."""

    def form(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
        scores = Q @ K.mT * Q.shape[-1] ** -0.5
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)
        return scores.softmax(-1) @ V

    return form


def heads_together(X: Tensor, WQ: Tensor, WK: Tensor, WV: Tensor, WO: Tensor) -> Tensor:
    """Multi-head attention of one sequence (n, w); weights (w, h, d) and (h, d, w)."""
    w, h, d = WQ.shape
    q, k, v = ((X @ W.reshape(w, h * d)).unflatten(-1, (h, d)).transpose(0, 1) for W in (WQ, WK, WV))
    out = scaled_dot_product_attention(four(q), four(k), four(v)).squeeze(0)
    return out.transpose(0, 1).flatten(-2) @ WO.reshape(h * d, w)


def normalised(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    """Linear attention with features relu and its normaliser."""
    q, k = Q.relu(), K.relu()
    return q @ (k.mT @ V) / (q @ k.sum(-2).unsqueeze(-1))


@dataclass(frozen=True)
class Written:
    """An operator.

    Attributes
    ----------
    definition : str
        What is compiled.
    indices : mapping of str to str
        The spaces of its indices.
    shapes : mapping of str to str
        The sizes of every input by letters: n tokens, w and d, e, p of widths 64, h heads; a batch of heads in front
        unless one of them is h.
    forms : mapping of str to Form
        The same, written by hand.
    naive : str
        Of them, the one that follows the definition; it runs at most at `naive_up_to` tokens.
    """

    definition: str
    indices: Mapping[str, str]
    shapes: Mapping[str, str]
    forms: Mapping[str, Form]
    naive: str = "scores first"
    naive_up_to: int = 2048


TOKENS = {"t,s,u,v": "n", "f,g,k": "d", "e": "e"}
QKV = {"Q": "nd", "K": "nd", "V": "ne"}
SOFTMAX = "softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))"
HEADS = "softmax(s: sum(w,f,x: X[t,w]*WQ[w,a,f]*X[s,x]*WK[x,a,f])/sqrt(d))"

WRITTEN: dict[str, Written] = {
    "dot product": Written(
        "O[t,e] = Q[t,f]*K[s,f]*V[s,e]",
        TOKENS,
        QKV,
        {"scores first": lambda Q, K, V: Q @ K.mT @ V, "summary first": lambda Q, K, V: Q @ (K.mT @ V)},
    ),
    "softmax": Written(
        f"O[t,e] = {SOFTMAX}*V[s,e]",
        TOKENS,
        QKV,
        {"direct": attention(False), "materialised": materialised(False)},
        "materialised",
    ),
    "causal softmax": Written(
        "O[t,e] = sum(s: le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e])"
        " / sum(s: le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d)))",
        {**TOKENS, "t,s,u,v": "n ordered"},
        QKV,
        {"direct": attention(True), "materialised": materialised(True)},
        "materialised",
    ),
    "bilinear softmax": Written(
        "O[t,e] = softmax(s: sum(f,g: Q[t,f]*B[f,g]*K[s,g]))*V[s,e]",
        TOKENS,
        {"Q": "nd", "B": "dd", "K": "nd", "V": "ne"},
        {
            "materialised": lambda Q, B, K, V: (Q @ B @ K.mT).softmax(-1) @ V,
            "direct": lambda Q, B, K, V: scaled_dot_product_attention(four(Q @ B), four(K), four(V), scale=1.0).squeeze(
                0
            ),
        },
        "materialised",
    ),
    "multi-head with projections": Written(
        f"O[t,y] = {HEADS}*X[s,z]*WV[z,a,e]*WO[a,e,y]",
        {"t,s": "n", "w,x,y,z": "w", "a": "h", "f": "d", "e": "e"},
        {"X": "nw", "WQ": "whd", "WK": "whd", "WV": "whe", "WO": "hew"},
        {"heads together": heads_together},
        "heads together",
        8192,
    ),
    "linear, normalised": Written(
        "O[t,e] = sum(s,f: relu(Q[t,f])*relu(K[s,f])*V[s,e]) / sum(s,f: relu(Q[t,f])*relu(K[s,f]))",
        TOKENS,
        QKV,
        {
            "scores first": lambda Q, K, V: (a := Q.relu() @ K.relu().mT) @ V / a.sum(-1, keepdim=True),
            "summary first": normalised,
        },
    ),
    "second order": Written(
        "O[t,e] = Q[t,f]*K[s,f]*Q[u,g]*K[s,g]*V[u,e]",
        TOKENS,
        QKV,
        {
            "scores first": lambda Q, K, V: (a := Q @ K.mT) @ (a.mT @ V),
            "summary first": lambda Q, K, V: Q @ ((K.mT @ K) @ (Q.mT @ V)),
        },
    ),
    "third order": Written(
        "O[t,e] = Q[t,f]*K[s,f]*Q[u,g]*K[s,g]*Q[u,k]*K[v,k]*V[v,e]",
        TOKENS,
        QKV,
        {
            "scores first": lambda Q, K, V: (a := Q @ K.mT) @ (a.mT @ (a @ V)),
            "summary first": lambda Q, K, V: Q @ ((K.mT @ K) @ ((Q.mT @ Q) @ (K.mT @ V))),
        },
    ),
    "tensor interaction": Written(
        "O[t,g] = X[t,f]*Y[s,f]*X[s,g]",
        TOKENS,
        {"X": "nd", "Y": "nd"},
        {"scores first": lambda X, Y: X @ Y.mT @ X, "summary first": lambda X, Y: X @ (Y.mT @ X)},
    ),
    "trilinear": Written(
        "O[t,e] = Q[t,f]*K[s,f]*L[u,f]*V[s,e]*W[u,e]",
        TOKENS,
        {"Q": "nd", "K": "nd", "L": "nd", "V": "ne", "W": "ne"},
        {
            "einsum": lambda Q, K, L, V, W: torch.einsum("htf,hsf,huf,hse,hue->hte", Q, K, L, V, W),
            "factored": lambda Q, K, L, V, W: Q @ ((K.mT @ V) * (L.mT @ W)),
        },
        "einsum",
        8192,
    ),
}
