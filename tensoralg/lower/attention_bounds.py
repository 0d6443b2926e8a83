"""The error of attention as one operation, for every algorithm that kernels use.

Exact are scores ``z_s = c q.k_s + b_s`` over the keys s that the masks keep, weights ``p_s = exp(z_s) / sum(exp(z))``
and the result ``sum(p_s v_s)``.  K is the number of keys, d the length of q, i the roundoff inside the operation and
u that of its input and output.  A product of n factors ``(1 + d)^(+-1)``, ``|d| <= i``, differs from 1 by at most
``gamma_n = n i / (1 - n i)`` (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002,
lemma 3.1).  The rules hold

* for a softmax between two products (after P. Blanchard, D. J. Higham, N. J. Higham, *Accurately computing the
  log-sum-exp and softmax functions*, IMA J. Numer. Anal. 41, 2021), with sums in any order;
* for the online softmax (M. Milakov, N. Gimelshein, arXiv 1805.02867; T. Dao, arXiv 2307.08691) in blocks of keys of
  any sizes, with a running maximum ``m_1 <= m_2 <= ...`` of the computed scores: block j multiplies denominator and
  numerator by ``r_j = exp(m_(j-1) - m_j)`` and adds the sums of ``exp(z_s - m_j)`` and of ``exp(z_s - m_j) v_s``.

*Scores.*  The scale may multiply the query, the key (both by its root) or the product, and may contain the factor
``log2(e)`` of an exponential in base 2: at most 8 roundings besides the d of the sum, one more for the bias, and w for
each operand where products run in a narrower format.  With the errors E of the operands

    ``E_z = |c| sum(|q| E_k + E_q (|k| + E_k)) + E_b + ((1 + w)^2 (1 + gamma_(d+9)) - 1) (|c| sum(|q||k|) + |b|)``,

magnitudes including errors.  Underflow adds at most ``t (1 + |c|) (sum |q| + sum |k| + 2 d + 4)``.

*Weights.*  The weight that a key has in the end is ``exp(z_s - m_j) r_(j+1) r_(j+2) ...``: exactly, ``exp(z_s - m)``.
The computed weights are the same numbers in the numerator and in the denominator, so whatever all of them share
cancels, and what counts is the error of the logarithm of each, which is at most

    ``l_s = E_z + 3 i |m - z_s| + 2 i |z_s| + K (c + i)``:

an argument ``z_s - m_j`` is rounded once as a difference, once more where both are multiplied by ``log2(e)``
(``i |z_s|``; that of m_j is shared); the arguments of the r's are rounded by i each, together by at most
``i (m - m_j) <= i |m - z_s|``; each of the exponentials, at most K of them, has the log-error ``c = e / (1 - e)``, e
the relative error of exp; multiplying costs i.  The normalised weight then has a log-error of at most
``L_s = l_s + log(sum(p exp(l)))``.

*Sums.*  A term of the numerator or the denominator goes through at most K additions, K multiplications by an r and
one product; the quotient costs 3 more, and its weights may be rounded to the format of the input before they meet the
values (u, and w).  In all a factor ``exp(+-G)`` with ``G = 2 (u + w) / (1 - u - w) + 2 g / (1 - g)`` for
``g = gamma_(2K+6)``.  So

    ``|computed - exact| <= sum(p_s (exp(L_s + G) - 1) (|v_s| + E_v)) + sum(p_s E_v)``

and u more of the result for the output.  The weight of the largest score is 1 up to its own error, so the denominator
is at least 1/2, and underflow of weights, products and partial sums, at most t for each of the (K + 2)^2 operations,
adds at most ``8 (K + 2)^2 t (1 + max(|v| + E_v))``.  Where scores or sums may overflow, nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tensoralg.lower.arithmetic import Arithmetic, arithmetic, gamma
from tensoralg.lower.balls import Ball, times, up


def average_error(
    operands: Sequence[Ball], bias: Sequence[Ball], kept: Tensor, scale: tuple[float, float], machine: Arithmetic
) -> Tensor:
    """Return a bound on the error of every entry of ``softmax(scale * query @ key.mT + bias) @ value``.

    Parameters
    ----------
    operands : sequence of Ball
        Query, key and value.
    bias : sequence of Ball
        One, or none.
    kept : Tensor
        Where the masks hold.
    scale : tuple of float
        The scale as computed, and a bound on its error.
    machine : Arithmetic
        The arithmetic of the input and the output.

    Examples
    --------
    >>> one = Ball.exact(torch.ones(1, 2, dtype=torch.float64))
    >>> kept = torch.ones(1, 1, dtype=torch.bool)
    >>> error = average_error((one, one, one), [], kept, (1.0, 0.0), arithmetic("float32", "cpu"))
    >>> bool((error < 100 * 2**-24).all())
    True
    """
    query, key, value = operands
    scores = scale[0] * query.mid @ key.mid.mT
    for one in bias:
        scores = scores + one.mid
    kept = kept.expand(scores.shape)
    weights = torch.softmax(torch.where(kept, scores, -math.inf), -1)
    # the weights are known up to an error of the same kind: that of float64, at what the balls leave open
    exact = [replace(ball, error=ball.radius) for ball in (query, key, *bias)]
    weights = up(weights * torch.exp(_log_error(exact, scores, kept, scale, arithmetic("float64", "cpu"), None)))
    log_error = _log_error((query, key, *bias), scores, kept, scale, machine, weights)
    keys, inner = scores.shape[-1], machine.inner
    rounded, summed = machine.unit + machine.operand, gamma(2 * keys + 6, inner)
    if summed >= 1:
        return torch.full_like(weights[..., :1] + value.mid[..., :1, :], math.inf)
    growth = 2 * rounded / (1 - rounded) + 2 * summed / (1 - summed)
    size = value.magnitude + value.error
    spread = torch.where(kept, weights * torch.expm1(up(log_error + growth)), 0.0)
    error = up(spread @ size + weights @ value.error, 2 * keys)
    largest = size.amax(-2, keepdim=True) if keys else size.sum(-2, keepdim=True)
    lost = 8 * (keys + 2) ** 2 * machine.tiny * (1 + largest)
    result = weights @ size
    error = error + lost + machine.unit * (result + error + lost)
    return torch.where(up(size.sum(-2, keepdim=True), keys) < machine.largest, up(error, 2 * keys), math.inf)


def _log_error(
    operands: Sequence[Ball],
    scores: Tensor,
    kept: Tensor,
    scale: tuple[float, float],
    machine: Arithmetic,
    weights: Tensor | None,
) -> Tensor:
    """Return a bound on the errors of the logarithms of the weights, of which upper bounds may be known."""
    keys, d, inner = scores.shape[-1], operands[0].mid.shape[-1], machine.inner
    error, size = _score_error(operands, scale, machine)
    exact = [replace(ball, error=ball.radius) for ball in operands]
    radius, _ = _score_error(exact, scale, arithmetic("float64", "cpu"))
    top = torch.where(kept, scores + radius + error, -math.inf)
    distance = (top.amax(-1, keepdim=True) if keys else top) - scores + radius + error
    accuracy = machine.function * inner / machine.unit
    each = error + 3 * inner * distance + 2 * inner * size + keys * (accuracy / (1 - accuracy) + inner)
    each = torch.where(kept, up(each, d), 0.0)
    most = each.amax(-1, keepdim=True) if keys else each
    if weights is not None:
        average = up((weights * torch.exp(each)).sum(-1, keepdim=True), 2 * keys)
        most = torch.minimum(average.clamp(min=1.0).log(), most)
    # beyond the largest number nothing is known
    return torch.where(size + error < machine.largest, up(each + most, 2 * keys), math.inf)


def _score_error(operands: Sequence[Ball], scale: tuple[float, float], machine: Arithmetic) -> tuple[Tensor, Tensor]:
    """Return bounds on the errors and on the absolute values of the computed scores."""
    query, key, *bias = operands
    computed, off = scale
    factor, d = abs(computed) + off, query.mid.shape[-1]
    (q, e), (k, f) = ((ball.magnitude, ball.error) for ball in (query, key))
    whole = (q + e) @ (k + f).mT
    inherited = factor * (q @ f.mT + e @ (k + f).mT) + off * whole
    size = factor * whole
    for ball in bias:
        inherited = inherited + ball.error
        size = size + ball.magnitude + ball.error
    growth = (1 + machine.operand) ** 2 * (1 + gamma(d + 9, machine.inner)) - 1
    edges = (q + e).sum(-1)[..., :, None] + (k + f).sum(-1)[..., None, :]
    error = inherited + times(growth, size) + machine.tiny * (1 + factor) * (edges + 2 * d + 4)
    safe = torch.maximum(whole, edges) * max(factor, 1.0) < machine.largest
    return torch.where(safe, up(error, 3 * d), math.inf), up(size * (1 + min(growth, 1.0)), 3 * d)
