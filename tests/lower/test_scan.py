"""The scan over ranks without processes: its schedule for many ranks, and values and gradients in threads."""

from __future__ import annotations

import threading
from queue import Queue
from typing import Any

import pytest
import torch

from tensoralg.lower.ranks import Arrays, Ranks, schedule


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 17, 1024])
def test_every_place_ends_with_the_places_before_it(size: int) -> None:
    """Segments are merged in order: what is on the left ends where what is on the right begins."""
    plans = [schedule(place, size) for place in range(size)]
    held = [(place, place + 1) for place in range(size)]
    for k in range(len(plans[0])):
        sent = {plans[place][k][0]: held[place] for place in range(size) if plans[place][k][0] is not None}
        for place in range(size):
            source = plans[place][k][1]
            assert (source is None) == (place not in sent)
            if k == 0:
                held[place] = sent.get(place, (0, 0))
            elif source is not None:
                assert plans[source][k][0] == place
                (low, middle), (begin, high) = sent[place], held[place]
                assert middle == begin
                held[place] = (low, high)
    assert held == [(0, place) for place in range(size)]
    rounds = 1 + (max(size - 2, 0)).bit_length()
    assert len(plans[0]) == rounds
    assert max(sum(to is not None for to, _ in plan) for plan in plans) == min(rounds, size - 1)


class Threads(Ranks):
    """Ranks that are threads of this process."""

    def __init__(self, rank: int, size: int, mail: dict[tuple[int, int], Queue[Arrays]]) -> None:
        self.rank, self.size, self.mail = rank, size, mail

    def exchange(self, arrays: Arrays | None, like: Arrays, to: int | None, source: int | None) -> Arrays | None:
        if arrays is not None and to is not None:
            self.mail[self.rank, to].put([array.clone() for array in arrays])
        return self.mail[source, self.rank].get(timeout=30) if source is not None else None


def merge(left: Arrays, right: Arrays, static: Arrays) -> Arrays:
    """Affine maps, the later one on the left, in coordinates that a static matrix changes."""
    return [right[0] @ static[0] @ left[0], right[0] @ static[0] @ left[1] + right[1]]


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 6, 9])
def test_values_and_gradients(size: int, backward: bool) -> None:
    generator = torch.Generator().manual_seed(size)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64) / 2

    own = [[draw(3, 3), draw(3, 2)] for _ in range(size)]
    weights = [[draw(3, 3), draw(3, 2)] for _ in range(size)]
    static = torch.eye(3, dtype=torch.float64)
    first = [torch.eye(3, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.float64)]
    mail: dict[tuple[int, int], Queue[Arrays]] = {(a, b): Queue() for a in range(size) for b in range(size)}
    results: dict[int, Any] = {}

    def work(rank: int) -> None:
        mine = [x.clone().requires_grad_() for x in own[rank]]
        fixed = static.clone().requires_grad_()
        found = Threads(rank, size, mail).before(mine, first, [fixed], merge, backward)
        loss = sum((w * x).sum() for w, x in zip(weights[rank], found, strict=True))
        results[rank] = found, torch.autograd.grad(loss, [*mine, fixed], materialize_grads=True)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    leaves = [[x.clone().requires_grad_() for x in one] for one in own]
    fixed = static.clone().requires_grad_()
    order = range(size)[::-1] if backward else range(size)
    now, before = first, {}
    for count, rank in enumerate(order):
        before[rank] = now
        now = merge(now, leaves[rank], [fixed]) if count else leaves[rank]
    loss = sum((w * x).sum() for rank in order for w, x in zip(weights[rank], before[rank], strict=True))
    flat = [x for one in leaves for x in one]
    loss = loss + 0 * sum(x.sum() for x in (*flat, fixed))
    *wanted, shared = torch.autograd.grad(loss, [*flat, fixed], allow_unused=True, materialize_grads=True)
    for rank in range(size):
        found, grads = results[rank]
        for one, other in zip((*found, *grads[:2]), (*before[rank], *wanted[2 * rank : 2 * rank + 2]), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(sum(results[rank][1][2] for rank in range(size)), shared, rtol=1e-10, atol=1e-10)
