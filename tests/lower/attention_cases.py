"""Spellings of softmax attention, and terms that look like it; written after the matcher was.

Of 51 spellings 45 were recognised at first.  Two were mended: scores divided by a tensor, and a product of two
exponentials.  Three stay softmaxes and are among the near misses: two feature axes, two value axes, and relative
positions, whose plan adds K and R before it multiplies.
"""

from __future__ import annotations

from typing import Any

import tensoralg as ta

INDICES = {"t,s,u": "n ordered", "f,g,e": "d", "i": "o", "h": "h", "a": "k", "r": "m"}
SIZES = {"n": 5, "d": 3, "o": 2, "h": 2, "k": 2, "m": 4}

SPELLINGS = {
    "softmax": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]",
    "no scale": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "quotient of sums": "O[t,e] = sum(s: exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e])"
    "/sum(s: exp(sum(f: Q[t,f]*K[s,f])/sqrt(d)))",
    "weights in the sum": "O[t,e] = sum(s: exp(sum(f: Q[t,f]*K[s,f]))/sum(u: exp(sum(f: Q[t,f]*K[u,f])))*V[s,e])",
    "reciprocal power": "O[t,e] = pow(sum(u: exp(sum(f: Q[t,f]*K[u,f])/8))"
    ", -1)*sum(s: V[s,e]*exp(sum(f: Q[t,f]*K[s,f])/8))",
    "scale on the query": "O[t,e] = softmax(s: sum(f: (Q[t,f]/sqrt(d))*K[s,f]))*V[s,e]",
    "scale on the key": "O[t,e] = softmax(s: sum(f: Q[t,f]*(K[s,f]/sqrt(d))))*V[s,e]",
    "roots on both": "O[t,e] = softmax(s: sum(f: (Q[t,f]/sqrt(sqrt(d)))*(K[s,f]/sqrt(sqrt(d)))))*V[s,e]",
    "a number": "O[t,e] = softmax(s: 1/8*sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "negative": "O[t,e] = softmax(s: -sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]",
    "scalar tensor": "O[t,e] = softmax(s: c[]*sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "divided by a scalar tensor": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/exp(c[]))*V[s,e]",
    "temperature of queries": "O[t,e] = softmax(s: x[t]*sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "temperature of keys": "O[t,e] = softmax(s: x[s]*sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]",
    "diagonal metric": "O[t,e] = softmax(s: sum(f: Q[t,f]*y[f]*K[s,f])/sqrt(d))*V[s,e]",
    "bias": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d) + B[t,s])*V[s,e]",
    "bias subtracted": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d) - B[t,s])*V[s,e]",
    "two biases": "O[t,e] = softmax(s: B[t,s] + sum(f: Q[t,f]*K[s,f])/sqrt(d) - 2*x[s])*V[s,e]",
    "scale of the whole": "O[t,e] = softmax(s: (sum(f: Q[t,f]*K[s,f]) + B[t,s])/sqrt(d))*V[s,e]",
    "slopes of heads": "O[h,t,e] = softmax(s: sum(f: Q[h,t,f]*K[h,s,f])/sqrt(d) - m[h]*B[t,s])*V[h,s,e]",
    "product of exponentials": "O[t,e] = sum(s: exp(sum(f: Q[t,f]*K[s,f]))*exp(B[t,s])*V[s,e])"
    "/sum(s: exp(sum(f: Q[t,f]*K[s,f]))*exp(B[t,s]))",
    "shifted": "O[t,e] = sum(s: exp(sum(f: Q[t,f]*K[s,f]) - x[t])*V[s,e])/sum(s: exp(sum(f: Q[t,f]*K[s,f]) - x[t]))",
    "causal": "O[t,e] = sum(s: le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e])"
    "/sum(s: le[s,t]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d)))",
    "causal, mask last": "O[t,e] = V[s,e]*exp(sum(f: K[s,f]*Q[t,f])/sqrt(d))*le[s,t]"
    "/sum(u: exp(sum(g: K[u,g]*Q[t,g])/sqrt(d))*le[u,t])",
    "anticausal": "O[t,e] = le[t,s]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: le[t,u]*exp(sum(f: Q[t,f]*K[u,f])))",
    "window": "O[t,e] = near[s,t,d]*exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]"
    "/sum(u: near[u,t,d]*exp(sum(g: Q[t,g]*K[u,g])/sqrt(d)))",
    "two masks": "O[t,e] = near[s,t,3]*le[t,s]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]"
    "/sum(u: near[u,t,3]*le[t,u]*exp(sum(g: Q[t,g]*K[u,g])))",
    "causal with a bias": "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]) + B[t,s])*V[s,e]"
    "/sum(u: le[u,t]*exp(sum(g: Q[t,g]*K[u,g]) + B[t,u]))",
    "heads in front": "O[h,t,e] = softmax(s: sum(f: Q[h,t,f]*K[h,s,f])/sqrt(d))*V[h,s,e]",
    "heads in the middle": "O[t,h,e] = softmax(s: sum(f: Q[t,h,f]*K[s,h,f])/sqrt(d))*V[s,h,e]",
    "heads last": "O[t,e,h] = softmax(s: sum(f: Q[t,f,h]*K[s,f,h])/sqrt(d))*V[s,e,h]",
    "causal heads": "O[t,h,e] = le[s,t]*exp(sum(f: Q[t,h,f]*K[s,h,f])/sqrt(d))*V[s,h,e]"
    "/sum(u: le[u,t]*exp(sum(g: Q[t,h,g]*K[u,h,g])/sqrt(d)))",
    "keys transposed": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[f,s])/sqrt(d))*V[s,e]",
    "all transposed": "O[e,t] = softmax(s: sum(f: Q[f,t]*K[f,s])/sqrt(d))*V[e,s]",
    "another order": "O[t,e] = V[s,e]*softmax(s: sum(f: K[s,f]*Q[t,f])/sqrt(d))",
    "projections": "O[t,e] = softmax(s: sum(f: sum(g: X[t,g]*W[g,f])*su"
    "m(g: X[s,g]*U[g,f]))/sqrt(d))*sum(g: X[s,g]*Y[g,e])",
    "heads projected": "O[t,i] = sum(h,e: softmax(s: sum(f: sum(g: X[t,g]*W[h,g,f])*sum"
    "(g: X[s,g]*U[h,g,f]))/sqrt(d))*sum(g: X[s,g]*Y[h,g,e])*P[h,e,i])",
    "multi-query": "O[t,h,e] = softmax(s: sum(f: Q[t,h,f]*K[s,f])/sqrt(d))*V[s,e]",
    "multi-query, heads in front, causal": "O[h,t,e] = le[s,t]*exp(sum(f: Q[h,t,f]*K[s,f]))*V[s,e]"
    "/sum(u: le[u,t]*exp(sum(f: Q[h,t,f]*K[u,f])))",
    "grouped": "O[t,h,a,e] = softmax(s: sum(f: Q[t,h,a,f]*K[s,h,f])/sqrt(d))*V[s,h,e]",
    "cross": "O[t,e] = softmax(r: sum(f: Q[t,f]*K[r,f])/sqrt(d))*V[r,e]",
    "residual": "O[t,e] = Q[t,e] + 2*softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "gated": "O[t,e] = x[t]*softmax(s: sum(f: Q[t,f]*K[s,f]))*y[e]*V[s,e]",
    "weighted values": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*x[s]*V[s,e]",
    "named steps": "S[t,s] = sum(f: Q[t,f]*K[s,f])/sqrt(d)\nP[t,s] = softmax(s: S[t,s])\nO[t,e] = P[t,s]*V[s,e]",
    "sum of heads": "O[t,e] = sum(h: sum(s: softmax(s: sum(f: Q[h,t,f]*K[h,s,f]))*V[h,s,e]))",
    "self": "O[t,e] = softmax(s: sum(f: X[t,f]*X[s,f])/sqrt(d))*X[s,e]",
    "content and position": "O[t,e] = softmax(s: sum(f: (Q[t,f] + a[f])*K["
    "s,f]) + sum(f: (Q[t,f] + b[f])*R[s,f]))*V[s,e]",
}

NEAR_MISSES = {
    "softmax over the queries": "O[t,e] = softmax(t: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "normalised over the queries": "O[t,e] = exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: exp(sum(f: Q[u,f]*K[s,f])))",
    "not normalised": "O[t,e] = exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "normalised by other keys": "O[t,e] = exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: exp(sum(f: Q[t,f]*L[u,f])))",
    "two scales": "O[t,e] = exp(sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]/sum(u: exp(sum(f: Q[t,f]*K[u,f])/d))",
    "weights squared": "O[t,e] = pow(softmax(s: sum(f: Q[t,f]*K[s,f])), 2)*V[s,e]",
    "weights read twice": "P[t,s] = softmax(s: sum(f: Q[t,f]*K[s,f]))\n"
    "O[t,e] = P[t,s]*V[s,e] + sum(s,u: P[t,s]*P[s,u]*V[u,e])",
    "scores squared": "O[t,e] = softmax(s: pow(sum(f: Q[t,f]*K[s,f]), 2))*V[s,e]",
    "rectified scores": "O[t,e] = softmax(s: relu(sum(f: Q[t,f]*K[s,f])))*V[s,e]",
    "distances": "O[t,e] = softmax(s: -sum(f: pow(Q[t,f] - K[s,f], 2)))*V[s,e]",
    "a mask above alone": "O[t,e] = le[s,t]*softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "a mask below alone": "O[t,e] = exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: le[u,t]*exp(sum(f: Q[t,f]*K[u,f])))",
    "two masks": "O[t,e] = le[s,t]*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: le[t,u]*exp(sum(f: Q[t,f]*K[u,f])))",
    "scores times a matrix": "O[t,e] = softmax(s: B[t,s]*sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "weights times a matrix": "O[t,e] = B[t,s]*softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]",
    "no product": "O[t,e] = softmax(s: B[t,s])*V[s,e]",
    "an outer product": "O[t,e] = softmax(s: x[t]*x[s])*V[s,e]",
    "keys of their own": "O[t,e] = softmax(s: sum(f: Q[t,f]*R[t,s,f]))*V[s,e]",
    "values of their own": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*R[t,s,e]",
    "numbers as values": "O[t] = softmax(s: sum(f: Q[t,f]*K[s,f]))*x[s]",
    "the weights": "O[t,s] = softmax(s: sum(f: Q[t,f]*K[s,f]))",
    "their sum": "O[e] = softmax(s: sum(f: Q[t,f]*K[s,f]))*V[s,e]*x[t]*x[s]",
    "weights and a rectifier": "O[t,e] = relu(x[s])*exp(sum(f: Q[t,f]*K[s,f]))*V[s,e]/sum(u: relu(x[u])*"
    "exp(sum(f: Q[t,f]*K[u,f])))",
    "two features": "O[t,e] = softmax(s: sum(f,i: A[t,f,i]*C[s,f,i]))*V[s,e]",
    "two value axes": "O[t,e,h] = softmax(s: sum(f: Q[t,f]*K[s,f]))*W[s,e,h]",
    "relative positions": "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f]) + sum(f: Q[t,f]*R[t,s,f]))*V[s,e]",
}


def parsed(text: str) -> Any:
    return ta.parse(text, indices=INDICES)


def fused_heads() -> dict[str, Any]:
    """Attention whose heads are a factor of a composite space, in front or behind."""
    N, H, D = ta.Space("N", "n", ordered=True), ta.Space("H", "h"), ta.Space("D", "d")
    (t, s), (h,), (f, g) = N.indices("t s"), H.indices("h"), D.indices("f g")
    found = {}
    for name, width in (("heads first", H @ D), ("heads last", D @ H)):
        Q, K, V, B = (*ta.tensors("Q K V", N @ width), ta.tensor("B", N @ N))

        def at(feature: Any, turned: bool = name == "heads last") -> Any:
            return (feature, h) if turned else (h, feature)

        scores = ta.define((t, h, s), (Q[t, at(f)] * K[s, at(f)]).sum(f) / ta.sqrt(D.dimension) + B[t, s])
        weights = ta.softmax(scores[t, h, s], over=s)
        found[name] = ta.define((t, h, g), (weights * V[s, at(g)]).sum(s))
    return found
