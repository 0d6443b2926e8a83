"""The operators of streams.py written by hand in PyTorch, each as fast as its author could make it.

Queries and keys have the shape (heads, n, d), values (heads, n, e), gates (heads, n); gates are above 0.
Every form but the naive one needs memory for a few chunks besides its output, the batched one for all of them.

* naive: the masked matrix of all pairs of tokens.
* recurrent: token after token.
* loop: chunk after chunk, all heads as one batch; the state is carried.
* batched: all chunks of all heads as one batch; the states come from a prefix sum over chunks.
* grouped: head after head, a group of consecutive chunks as one batch.  These are views of the inputs and of
  the output, so nothing is copied; the states come from one product with a triangular matrix.  Its gradient is
  written by hand: groups in reverse order, each recomputed from the state before it.

Second order is first order twice: O_t = sum_{j <= t} (Q_t . U_j) V_j with U_j = sum_{i <= j} (Q_j . K_i) K_i.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

State = tuple[Tensor, ...]
Form = Callable[..., Tensor]
CHUNKS = (64, 128, 256)
GROUP_TOKENS = 1024


@cache
def lower(size: int, dtype: torch.dtype) -> Tensor:
    """Return the matrix of ones on and below the diagonal."""
    return torch.ones(size, size, dtype=dtype).tril()


@cache
def future(size: int, dtype: torch.dtype) -> Tensor:
    """Return the matrix that is minus infinity above the diagonal and 0 elsewhere."""
    return torch.full((size, size), -torch.inf, dtype=dtype).triu(1)


def weights(b: Tensor) -> Tensor:
    """Return exp(b_t - b_s) for s <= t, else 0."""
    return (b.unsqueeze(-1) - b.unsqueeze(-2)).add_(future(b.shape[-1], b.dtype)).exp_()


# Naive


def naive_first(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return (Q @ K.mT).tril_() @ V


def naive_second(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    A = (Q @ K.mT).tril_()
    return (A @ A.mT).tril_() @ V


def naive_gated(Q: Tensor, K: Tensor, V: Tensor, a: Tensor) -> Tensor:
    return (Q @ K.mT).mul_(weights(a.log().cumsum(-1))) @ V


def naive_normalised(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    A = (Q @ K.mT).tril_()
    return (A @ V) / A.sum(-1, keepdim=True)


# Loop: a step takes the state and the pieces of the inputs in a chunk, and returns the new state and output.  Autograd
# keeps states for the backward pass, so they are updated in place only without it.


def add_product(state: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.baddbmm(state, x, y) if torch.is_grad_enabled() else state.baddbmm_(x, y)


def first_chunk(state: State, q: Tensor, k: Tensor, v: Tensor) -> tuple[State, Tensor]:
    (S,) = state
    out = torch.bmm(q, S).baddbmm_(torch.bmm(q, k.mT).tril_(), v)
    return (add_product(S, k.mT, v),), out


def second_chunk(state: State, q: Tensor, k: Tensor, v: Tensor) -> tuple[State, Tensor]:
    S, N = state
    (S,), u = first_chunk((S,), q, k, k)
    (N,), out = first_chunk((N,), q, u, v)
    return (S, N), out


def gated_chunk(state: State, q: Tensor, k: Tensor, v: Tensor, a: Tensor) -> tuple[State, Tensor]:
    (S,) = state
    b = a.log().cumsum(-1)
    out = torch.bmm(q, S).mul_(b.exp().unsqueeze(-1)).baddbmm_(torch.bmm(q, k.mT).mul_(weights(b)), v)
    rest = v * (b[:, -1:] - b).exp().unsqueeze(-1)
    decay = b[:, -1, None, None].exp()
    return (add_product(S * decay if torch.is_grad_enabled() else S.mul_(decay), k.mT, rest),), out


def normalised_chunk(state: State, q: Tensor, k: Tensor, v: Tensor) -> tuple[State, Tensor]:
    S, z = state
    A = torch.bmm(q, k.mT).tril_()
    out = torch.bmm(q, S).baddbmm_(A, v)
    total = A.sum(-1, keepdim=True).add_(torch.bmm(q, z))
    return (add_product(S, k.mT, v), z + k.sum(1).unsqueeze(-1)), out.div_(total)


def loop(step: Callable[..., tuple[State, Tensor]], zeros: Callable[..., State], chunk: int, *inputs: Tensor) -> Tensor:
    """Run a step over the chunks."""
    state = zeros(*inputs)
    # split, not slices: the gradient of a slice is an array as long as the input
    pieces = zip(*(x.split(chunk, 1) for x in inputs), strict=True)
    if torch.is_grad_enabled():
        outputs = []
        for piece in pieces:
            state, out = step(state, *piece)
            outputs.append(out)
        return torch.cat(outputs, 1)
    result = torch.empty_like(inputs[2])
    for place, piece in zip(result.split(chunk, 1), pieces, strict=True):
        state, out = step(state, *piece)
        place.copy_(out)
    return result


# Recurrent: a step takes the state and the token's rows, updates the state in place and returns the output's row.


def first_token(state: State, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    (S,) = state
    S.baddbmm_(k.unsqueeze(2), v.unsqueeze(1))
    return torch.bmm(q.unsqueeze(1), S).squeeze(1)


def second_token(state: State, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    S, N = state
    return first_token((N,), q, first_token((S,), q, k, k), v)


def gated_token(state: State, q: Tensor, k: Tensor, v: Tensor, a: Tensor) -> Tensor:
    state[0].mul_(a[:, None, None])
    return first_token(state, q, k, v)


def normalised_token(state: State, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    S, z = state
    z.add_(k.unsqueeze(2))
    return first_token((S,), q, k, v).div_(torch.bmm(q.unsqueeze(1), z).squeeze(1))


def recurrent(step: Callable[..., Tensor], zeros: Callable[..., State], *inputs: Tensor) -> Tensor:
    """Run a step over the tokens, without gradients."""
    state, result = zeros(*inputs), torch.empty_like(inputs[2])
    for place, *token in zip(result.unbind(1), *(x.unbind(1) for x in inputs), strict=True):
        place.copy_(step(state, *token))
    return result


# Batched


def padded(x: Tensor, chunk: int, value: float = 0.0) -> Tensor:
    """Return an input as chunks, those of all heads after one another, filled up to a whole number of chunks."""
    missing = -x.shape[1] % chunk
    if missing:
        x = pad(x, (0, 0) * (x.dim() - 2) + (0, missing), value=value)
    return x.reshape(-1, chunk, *x.shape[2:])


def shifted_sum(parts: Tensor, heads: int) -> Tensor:
    """Return, for every chunk, the sum of the parts of the chunks before it."""
    rows = parts.unflatten(0, (heads, -1))
    return (rows.cumsum(1) - rows).flatten(0, 1)


def batched_first(chunk: int, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    q, k, v = (padded(x, chunk) for x in (Q, K, V))
    S = shifted_sum(torch.bmm(k.mT, v), len(Q))
    out = torch.bmm(q, S).baddbmm_(torch.bmm(q, k.mT).tril_(), v)
    return out.view(len(Q), -1, out.shape[-1])[:, : Q.shape[1]]


def batched_second(chunk: int, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    return batched_first(chunk, Q, batched_first(chunk, Q, K, K), V)


def batched_gated(chunk: int, Q: Tensor, K: Tensor, V: Tensor, a: Tensor) -> Tensor:
    q, k, v = (padded(x, chunk) for x in (Q, K, V))
    b = padded(a, chunk, 1.0).log().cumsum(-1)
    end = b[:, -1:]
    parts = torch.bmm(k.mT, v * (end - b).exp().unsqueeze(-1)).unflatten(0, (len(Q), -1))
    totals = pad(end.view(len(Q), -1).cumsum(-1), (1, 0))  # the decay up to each chunk's start
    S = torch.bmm(weights(totals)[:, :-1, 1:], parts.flatten(2)).view(-1, *parts.shape[2:])
    out = torch.bmm(q, S).mul_(b.exp().unsqueeze(-1)).baddbmm_(torch.bmm(q, k.mT).mul_(weights(b)), v)
    return out.view(len(Q), -1, out.shape[-1])[:, : Q.shape[1]]


def batched_normalised(chunk: int, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    q, k, v = (padded(x, chunk) for x in (Q, K, V))
    S = shifted_sum(torch.bmm(k.mT, v), len(Q))
    z = shifted_sum(k.sum(1).unsqueeze(-1), len(Q))
    A = torch.bmm(q, k.mT).tril_()
    total = A.sum(-1, keepdim=True).add_(torch.bmm(q, z))
    out = torch.bmm(q, S).baddbmm_(A, v)
    return out.view(len(Q), -1, out.shape[-1])[:, : Q.shape[1]] / total.view(len(Q), -1, 1)[:, : Q.shape[1]]


# Grouped: the arrays of one group have the shape (chunks, tokens, ...).  A carry is the state at a border of groups, a
# tail the gradient that reaches it from the groups after it.


def before(carry: Tensor, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the states before each chunk and, last, after all of them: carry plus the products x' y so far."""
    parts = x.new_empty(len(x) + 1, x.shape[2], y.shape[2])
    parts[0] = carry
    torch.bmm(x.mT, y, out=parts[1:])
    weight = lower(len(parts), x.dtype) if weight is None else weight
    return (weight @ parts.flatten(1)).view_as(parts)


def after(tail: Tensor, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the same sums from the other end: row c is the tail plus the products of the chunks from c on."""
    parts = x.new_empty(len(x) + 1, x.shape[2], y.shape[2])
    parts[-1] = tail
    torch.bmm(x.mT, y, out=parts[:-1])
    weight = lower(len(parts), x.dtype) if weight is None else weight
    return (weight.mT @ parts.flatten(1)).view_as(parts)


def masked(x: Tensor, y: Tensor) -> Tensor:
    return torch.bmm(x, y.mT).tril_()


def first_group(carry: State, out: Tensor, q: Tensor, k: Tensor, v: Tensor) -> State:
    S = before(carry[0], k, v)
    torch.bmm(q, S[:-1], out=out)
    out.baddbmm_(masked(q, k), v)
    return (S[-1],)


def first_group_back(
    carry: State, tail: State, grad: Tensor, grads: list[Tensor], q: Tensor, k: Tensor, v: Tensor
) -> State:
    S, R = before(carry[0], k, v), after(tail[0], q, grad)
    dq, dk, dv = grads
    dA = masked(grad, v)
    torch.bmm(grad, S[:-1].mT, out=dq)
    dq.baddbmm_(dA, k)
    torch.bmm(v, R[1:].mT, out=dk)
    dk.baddbmm_(dA.mT, q)
    torch.bmm(k, R[1:], out=dv)
    dv.baddbmm_(masked(q, k).mT, grad)
    return (R[0],)


def second_group(carry: State, out: Tensor, q: Tensor, k: Tensor, v: Tensor) -> State:
    u = torch.empty_like(k)
    return first_group(carry[:1], u, q, k, k) + first_group(carry[1:], out, q, u, v)


def second_group_back(
    carry: State, tail: State, grad: Tensor, grads: list[Tensor], q: Tensor, k: Tensor, v: Tensor
) -> State:
    dq, dk, dv = grads
    u, du, dq_more, dk_more = (torch.empty_like(k) for _ in range(4))
    first_group(carry[:1], u, q, k, k)
    outer = first_group_back(carry[1:], tail[1:], grad, [dq, du, dv], q, u, v)
    inner = first_group_back(carry[:1], tail[:1], du, [dq_more, dk, dk_more], q, k, k)
    dq.add_(dq_more)
    dk.add_(dk_more)
    return inner + outer


def gates(a: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the decays between tokens, from the chunk's start, to its end, and between borders of chunks."""
    b = a.log().cumsum(-1)
    end = b[:, -1:]
    return weights(b), b.exp().unsqueeze(-1), (end - b).exp_().unsqueeze(-1), weights(pad(end[:, 0].cumsum(0), (1, 0)))


def gated_group(carry: State, out: Tensor, q: Tensor, k: Tensor, v: Tensor, a: Tensor) -> State:
    D, start, rest, between = gates(a)
    S = before(carry[0], k, v * rest, between)
    torch.bmm(q, S[:-1], out=out)
    out.mul_(start).baddbmm_(D.mul_(torch.bmm(q, k.mT)), v)
    return (S[-1],)


def gated_group_back(
    carry: State, tail: State, grad: Tensor, grads: list[Tensor], q: Tensor, k: Tensor, v: Tensor, a: Tensor
) -> State:
    D, start, rest, between = gates(a)
    S, R = before(carry[0], k, v * rest, between), after(tail[0], q, grad * start, between)
    dq, dk, dv, da = grads
    dA = torch.bmm(grad, v.mT).mul_(D)
    torch.bmm(grad, S[:-1].mT, out=dq)
    dq.mul_(start).baddbmm_(dA, k)
    torch.bmm(v, R[1:].mT, out=dk)
    dk.mul_(rest).baddbmm_(dA.mT, q)
    torch.bmm(k, R[1:], out=dv)
    dv.mul_(rest).baddbmm_(D.mul_(torch.bmm(q, k.mT)).mT, grad)
    # what passes through the gate of t: pairs around t inside the chunk, and the state at the chunk's end
    flow = (q * dq).sub_(k * dk).sum(-1)
    flow[:, -1] += (S[1:] * R[1:]).sum((-1, -2))
    torch.div(flow.flip(-1).cumsum(-1).flip(-1), a, out=da)
    return (R[0],)


def normalised_group(carry: State, out: Tensor, q: Tensor, k: Tensor, v: Tensor) -> State:
    S, z = before(carry[0], k, v), before(carry[1], k, torch.ones_like(v[..., :1]))
    A = masked(q, k)
    torch.bmm(q, S[:-1], out=out)
    out.baddbmm_(A, v).div_(A.sum(-1, keepdim=True).add_(torch.bmm(q, z[:-1])))
    return S[-1], z[-1]


def normalised_group_back(
    carry: State, tail: State, grad: Tensor, grads: list[Tensor], q: Tensor, k: Tensor, v: Tensor
) -> State:
    one = torch.ones_like(v[..., :1])
    S, z = before(carry[0], k, v), before(carry[1], k, one)
    A = masked(q, k)
    total = A.sum(-1, keepdim=True).add_(torch.bmm(q, z[:-1]))
    out = torch.bmm(q, S[:-1]).baddbmm_(A, v).div_(total)
    num = grad / total  # the gradients of numerator and denominator
    den = (num * out).sum(-1, keepdim=True).neg_()
    R, r = after(tail[0], q, num), after(tail[1], q, den)
    dq, dk, dv = grads
    dA = torch.bmm(num, v.mT).add_(den).tril_()
    torch.bmm(num, S[:-1].mT, out=dq)
    dq.baddbmm_(dA, k).add_(den * z[:-1].mT)
    torch.bmm(v, R[1:].mT, out=dk)
    dk.baddbmm_(dA.mT, q).add_(r[1:].mT)
    torch.bmm(k, R[1:], out=dv)
    dv.baddbmm_(A.mT, num)
    return R[0], r[0]


def spans(n: int, chunk: int, group: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, number of chunks and their length: whole groups, the chunks left over, the tokens left over."""
    start = 0
    while start < n:
        size = min(chunk, n - start)
        count = min(group, (n - start) // size)
        yield start, count, size
        start += count * size


def cut(x: Tensor, head: int, start: int, count: int, size: int) -> Tensor:
    return x[head, start : start + count * size].view(count, size, *x.shape[2:])


class Grouped(torch.autograd.Function):
    """Head after head, group after group; kept for the backward pass are the inputs and the states between groups."""

    @staticmethod
    def forward(ctx: Any, operator: Written, chunk: int, *inputs: Tensor) -> Tensor:
        inputs = tuple(x.contiguous() for x in inputs)
        out, carries = torch.empty_like(inputs[2]), []
        keep = any(ctx.needs_input_grad)
        for head in range(len(out)):
            carry = tuple(x[0] for x in operator.zeros(*(x[:1] for x in inputs)))
            for span in spans(out.shape[1], chunk, GROUP_TOKENS // chunk):
                if keep:
                    carries.append(tuple(x.clone() for x in carry))  # without the states beside it
                carry = operator.group(carry, cut(out, head, *span), *(cut(x, head, *span) for x in inputs))
        ctx.operator, ctx.chunk, ctx.carries = operator, chunk, carries
        ctx.save_for_backward(*inputs)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        grad, inputs = grad.contiguous(), ctx.saved_tensors
        grads = [torch.empty_like(x) for x in inputs]
        todo = list(spans(grad.shape[1], ctx.chunk, GROUP_TOKENS // ctx.chunk))
        for head in range(len(grad)):
            carries = ctx.carries[head * len(todo) : (head + 1) * len(todo)]
            tail = tuple(torch.zeros_like(x) for x in carries[0]) if carries else ()
            for span, carry in zip(reversed(todo), reversed(carries), strict=True):
                pieces = [[cut(x, head, *span) for x in arrays] for arrays in (grads, inputs)]
                tail = ctx.operator.group_back(carry, tail, cut(grad, head, *span), pieces[0], *pieces[1])
        return None, None, *grads


def matrix_state(Q: Tensor, K: Tensor, V: Tensor, *_: Tensor) -> State:
    return (K.new_zeros(len(K), K.shape[-1], V.shape[-1]),)


def second_state(Q: Tensor, K: Tensor, V: Tensor) -> State:
    return matrix_state(Q, K, K) + matrix_state(Q, K, V)


def normalised_state(Q: Tensor, K: Tensor, V: Tensor) -> State:
    return (*matrix_state(Q, K, V), K.new_zeros(len(K), K.shape[-1], 1))


@dataclass(frozen=True)
class Written:
    """An operator written by hand: the naive form, and the parts of the others."""

    naive: Form
    zeros: Callable[..., State]
    chunk: Callable[..., tuple[State, Tensor]]
    token: Callable[..., Tensor]
    batched: Callable[..., Tensor]
    group: Callable[..., State]
    group_back: Callable[..., State]

    def forms(self) -> dict[str, Form]:
        """Return the chunked forms, by name."""
        return {
            **{f"loop {c}": partial(loop, self.chunk, self.zeros, c) for c in CHUNKS},
            **{f"batched {c}": partial(self.batched, c) for c in CHUNKS},
            **{f"grouped {c}": partial(Grouped.apply, self, c) for c in (32, 64, 128)},
        }

    def recurrent(self, *inputs: Tensor) -> Tensor:
        """Run token after token, without gradients."""
        return recurrent(self.token, self.zeros, *inputs)


WRITTEN = {
    "first order": Written(
        naive_first, matrix_state, first_chunk, first_token, batched_first, first_group, first_group_back
    ),
    "second order": Written(
        naive_second, second_state, second_chunk, second_token, batched_second, second_group, second_group_back
    ),
    "gated": Written(naive_gated, matrix_state, gated_chunk, gated_token, batched_gated, gated_group, gated_group_back),
    "normalised": Written(
        naive_normalised,
        normalised_state,
        normalised_chunk,
        normalised_token,
        batched_normalised,
        normalised_group,
        normalised_group_back,
    ),
}
