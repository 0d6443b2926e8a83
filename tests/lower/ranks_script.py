"""What every rank of a group does in `test_distributed`; started by torchrun, it ends with 0 if all is right."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lower.stream_cases import cut, draw, operator_of, place_of, tuple_of
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

import tensoralg as ta
from tensoralg.errors import (
    InputMismatch,
    LostRank,
    NotStreamable,
    RanksDisagree,
    ShapeMismatch,
    UnknownName,
    UsageError,
)
from tensoralg.lower import Operator, communication, compile, distribute, process_group, segments
from tensoralg.lower.ranks import Ranks

INDICES = {"t,s,u,v": "n ordered", "f,g,h,e": "d"}
CAUSAL = "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]"
ATTENTION = "O[t,e] = softmax(s: sum(f: Q[t,f]*K[s,f])/sqrt(d))*V[s,e]"
CAUSAL_SOFTMAX = "O[t,e] = le[s,t]*exp(Q[t]*K[s])*V[s,e]/sum(u: le[u,t]*exp(Q[t]*K[u]))"
LINEAR = "O[t,e] = Q[t,f]*K[s,f]*V[s,e]/n"
CUTS = {2: (0, 11, 17), 3: (0, 8, 8, 17)}  # the second of three has nothing
SENT = {"elements": 0.0}


def bounds(rank: int) -> tuple[int, int]:
    cuts = CUTS[Ranks().size]
    return cuts[rank], cuts[rank + 1]


def gradients(outputs: Any, inputs: list[torch.Tensor], weights: list[torch.Tensor]) -> list[torch.Tensor]:
    loss = sum((w * out).sum() for w, out in zip(weights, tuple_of(outputs), strict=True))
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def weights_of(outputs: Any) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(out.shape, generator=generator, dtype=torch.float64) for out in tuple_of(outputs)]


def near(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """In float64, where sums of some hundred numbers of size 1 to 1000 differ by their order alone."""
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-9)


# streams


def stream_case(name: str) -> None:
    """Outputs and gradients of segments against those of one process."""
    operator, ranks = operator_of(name), Ranks()
    segmented = distribute(operator)
    reverse = operator.stream.reverse
    low, high = bounds(ranks.size - 1 - ranks.rank if reverse else ranks.rank)
    inputs = {k: x.requires_grad_() for k, x in draw(operator, 17, {operator.order[0]: (2,)}).items()}
    whole = operator(**inputs)
    weights = weights_of(whole)
    wanted = dict(zip(inputs, gradients(whole, list(inputs.values()), weights), strict=True))
    mine = {k: x.detach().requires_grad_() for k, x in cut(operator, inputs, low, high).items()}
    found = segmented(**mine)

    def part(array: torch.Tensor, place: int) -> torch.Tensor:
        return array.narrow(place, array.shape[place] - high if reverse else low, high - low)

    places = [[str(leg.space.dimension) for leg in d.legs].index("n") - len(d.legs) for d in operator.definitions]
    for one, other, place in zip(tuple_of(found), tuple_of(whole), places, strict=True):
        near(one, part(other, place))
    own = gradients(found, list(mine.values()), [part(w, p) for w, p in zip(weights, places, strict=True)])
    for name, gradient in zip(mine, own, strict=True):
        place = place_of(operator, name)
        if place is None:  # the same on all ranks, which have their shares
            near(ranks.summed(gradient), wanted[name])
        else:
            near(gradient, part(wanted[name], place))


def stream_refusals() -> None:
    with pytest.raises(NotStreamable, match="reaches back"):
        distribute(operator_of("window"))
    with pytest.raises(NotStreamable, match="do not merge"):
        distribute(operator_of("nested normaliser"))
    with pytest.raises(UsageError, match="fixed"):
        distribute(compile(ta.stream(ta.parse(CAUSAL, indices=INDICES)), sizes={"n": 8}))
    with pytest.raises(UsageError, match="along time"):
        distribute(operator_of("total"), along="d")


# contractions


def arrays_of(operator: Operator, n: int, d: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = {"n": n, "d": d}
    return [
        torch.randn(
            [1 + k % 2, *(sizes[str(leg.dimension)] for leg in t.legs)], generator=generator, dtype=torch.float64
        )
        for k, t in enumerate(operator.tensors)
    ]


def contraction_case(text: str, inputs: Any, output: str | None, n: int = 17, **options: Any) -> None:
    operator, ranks = compile(ta.parse(text, indices=INDICES), **options), Ranks()
    sharded = distribute(operator, along="n", inputs=inputs, output=output)
    low, high = bounds(ranks.rank)
    given = [x.requires_grad_() for x in arrays_of(operator, n)]
    whole = operator(*given)
    (weight,) = weights_of(whole)
    wanted = gradients(whole, given, [weight])
    placed = inputs if isinstance(inputs, dict) else {} if inputs == "whole" else {
        t.name: k for t in operator.tensors for k in [next((k for k, x in enumerate(t.legs) if str(x) == "n"), None)]
        if k is not None
    }  # fmt: skip

    def part(name: str, array: torch.Tensor) -> torch.Tensor:
        return array.narrow(1 + placed[name], low, high - low) if name in placed else array

    mine = [part(t.name, x.detach()).requires_grad_() for t, x in zip(operator.tensors, given, strict=True)]
    found = sharded(*mine)
    legs = [str(leg.space) for leg in operator.definition.legs]
    sharding = (output or ("whole" if inputs == "whole" else "sharded")) == "sharded" and "n" in legs
    if sharding:
        if inputs == "whole":
            count, more = divmod(n, ranks.size)
            low = count * ranks.rank + min(ranks.rank, more)
            high = low + count + (ranks.rank < more)
        axis = legs.index("n") - len(legs)
        near(found, whole.narrow(axis, low, high - low))
        own = gradients(found, mine, [weight.narrow(axis, low, high - low)])
    else:  # the loss of the whole is counted once
        near(found, whole)
        own = gradients(found, mine, [weight / ranks.size])
    low, high = bounds(ranks.rank)
    for tensor, gradient, right in zip(operator.tensors, own, wanted, strict=True):
        if tensor.name in placed:
            near(gradient, part(tensor.name, right))
        else:
            near(ranks.summed(gradient), right)


def slices_of_a_memory_limit() -> None:
    n, d = ta.dims("n d")
    for text, free in ((CAUSAL, "whole"), (CAUSAL, "sharded")):
        contraction_case(text, "whole", free, memory_limit=n * d)


def distributed_tensors() -> None:
    ranks = Ranks()
    mesh = init_device_mesh("cpu", (ranks.size,))
    operator = compile(ta.parse(LINEAR, indices=INDICES))
    sharded = distribute(operator, mesh, along="n")
    q, k, v = (x[0] for x in arrays_of(operator, 7))
    placed = [distribute_tensor(x, mesh, [Shard(0)]) for x in (q, k, v)]
    found = sharded(*placed)
    assert isinstance(found, DTensor)
    near(found.full_tensor(), operator(q, k, v))
    with pytest.raises(UsageError, match="placed"):
        sharded(distribute_tensor(q, mesh, [Replicate()]), *placed[1:])


# what ranks disagree about


def disagreements() -> None:
    ranks = Ranks()
    operator = compile(ta.parse(LINEAR, indices=INDICES))
    segmented = distribute(operator_of("first order"))
    sharded = distribute(operator, along="n")
    last = ranks.rank == ranks.size - 1
    good = {name: torch.ones(3, 2) for name in "QKV"}
    for module in (segmented, sharded):
        with pytest.raises(InputMismatch, match=f"rank {ranks.size - 1} has the dtype torch.float64"):
            module(**{name: x.double() if last else x for name, x in good.items()})
        with pytest.raises(InputMismatch, match="shape of Q"):
            module(**{name: x[:, :1] if last else x for name, x in good.items()})
        with pytest.raises(UnknownName if last else RanksDisagree, match="K is missing"):
            module(**{name: x for name, x in good.items() if not last or name != "K"})
        with pytest.raises(ShapeMismatch if last else RanksDisagree, match="axis 0"):
            module(**{name: x[:1] if last and name == "K" else x for name, x in good.items()})
        with pytest.raises(InputMismatch, match="grad"), torch.set_grad_enabled(not last):
            module(**{name: x.clone().requires_grad_() for name, x in good.items()})
        module(**good)  # the group still works
    partly = distribute(operator, along="n", inputs={"K": 0, "V": 0})
    with pytest.raises(ShapeMismatch, match="lengths"):
        partly(**good)
    for wrong in ({"W": 0}, {"K": 1}, "halves"):
        with pytest.raises((UnknownName, UsageError)):
            distribute(operator, along="n", inputs=wrong)
    with pytest.raises(UnknownName):
        distribute(operator, along="m")


# what is sent


def counted(name: str, cost: Any) -> None:
    original = getattr(dist, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        SENT["elements"] += cost(*args)
        return original(*args, **kwargs)

    setattr(dist, name, call)


def watch() -> None:
    """Count elements: a ring sends an array twice but for a P-th of it, blocks that are gathered P - 1 times."""
    size = Ranks().size
    counted("all_reduce", lambda x, *_: 2 * (size - 1) / size * x.numel())
    counted("all_gather", lambda _, x, *__: (size - 1) * x.numel() if x.dtype != torch.uint8 else 0)
    counted("batch_isend_irecv", lambda ops: sum(op.tensor.numel() for op in ops if op.op is dist.isend))


def what_is_sent() -> None:
    ranks = Ranks()
    n, d = 4 * ranks.size, 3

    def compare(module: Any, inputs: dict[str, torch.Tensor], planned: Any, values: dict[str, int]) -> None:
        SENT["elements"] = 0.0
        module(**inputs)
        most = torch.tensor(SENT["elements"], dtype=torch.float64)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        at = {symbol: {**values, "P": ranks.size}[str(symbol)] for symbol in planned.free_symbols}
        assert float(most) == pytest.approx(float(planned.subs(at)))

    sizes = {"n": n, "d": d, "P": ranks.size}
    for text, inputs in (
        (LINEAR, "sharded"),
        (ATTENTION, "sharded"),
        (CAUSAL_SOFTMAX, "sharded"),
        (LINEAR, "whole"),
        (CAUSAL, {"Q": 0}),
    ):
        operator = compile(ta.parse(text, indices=INDICES))
        given = {t.name: x[0] for t, x in zip(operator.tensors, arrays_of(operator, n, d), strict=True)}
        part = slice(4 * ranks.rank, 4 * ranks.rank + 4)
        cuts = given if inputs == "sharded" else inputs if isinstance(inputs, dict) else {}
        mine = {name: x[part] if name in cuts else x for name, x in given.items()}
        planned = communication(operator, sizes, along="n", inputs=inputs)
        compare(distribute(operator, along="n", inputs=inputs), mine, planned, sizes)
    for name in STREAMS[ranks.size][1:2]:
        stream = operator_of(name)
        mine = cut(stream, draw(stream, n), 4 * ranks.rank, 4 * ranks.rank + 4)
        compare(distribute(stream), mine, communication(stream), {"d": 2, "e": 3})


# a rank that is lost


def lost() -> None:
    """The last rank ends before an exchange; the others say so in time."""
    process_group(timeout=60)
    ranks = Ranks()
    operator = operator_of("total")
    segmented = distribute(operator, timeout=5)
    segmented(x=torch.ones(3))
    if ranks.rank == ranks.size - 1:
        os._exit(0)
    start = time.monotonic()
    with pytest.raises(LostRank, match=f"rank {ranks.rank} of {ranks.size} could not tell the others") as caught:
        segmented(x=torch.ones(3))
    assert (caught.value.size, time.monotonic() - start < 30) == (ranks.size, True)


STREAMS = {2: ["normalised", "second order", "anti-causal"], 3: ["matrix gate", "constant gate", "static projections"]}


def cases() -> None:
    segments.CHUNK = 3
    process_group(timeout=120)
    size = Ranks().size
    for name in STREAMS[size]:
        stream_case(name)
    contraction_case(LINEAR, "sharded", None)
    contraction_case(CAUSAL, "sharded", None)
    if size == 2:
        stream_refusals()
        contraction_case(ATTENTION, "sharded", "whole")
        contraction_case(CAUSAL_SOFTMAX, "sharded", None)
        contraction_case("O[t,e] = lt[t,s]*Q[t,f]*K[s,f]*V[s,e]", {"K": 0, "V": 0}, None)
        contraction_case("O[f,e] = K[s,f]*V[s,e]", "whole", None)
        contraction_case("O[t,s] = X[t,f]*X[s,f]", "sharded", None)
        contraction_case("O[t,e] = exp(V[t,e]) - sum(s: V[s,e])/n", "whole", "sharded")
        slices_of_a_memory_limit()
        distributed_tensors()
    disagreements()
    watch()
    what_is_sent()


if __name__ == "__main__":
    {"cases": cases, "lost": lost}[sys.argv[1]]()
    if dist.is_initialized() and sys.argv[1] == "cases":
        dist.destroy_process_group()
