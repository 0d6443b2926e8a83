"""Ranks of a process group: what they exchange, with a time limit, and how gradients go back.

Every exchange is awaited with a time limit, and an exchange that fails or is late is a :class:`LostRank`, that names
the operation and the group.  Gradients are those of the sum of the losses of all ranks: the backward pass of a sum
over ranks is a sum over ranks, that of gathering adds the gradients of all ranks and takes the own part, that of a
scan is the scan in the other direction.  So backward passes are exchanges, too: all ranks have to run them.

*Scan.*  With a merge that is associative, the ranks before one (in order of time) have the merged statistics

    before(r) = s(0) . s(1) . .. . s(r - 1),

found in rounds: every rank passes its own on to the next, and then what it has to the one 1, 2, 4, .. further on
(W. D. Hillis & G. L. Steele, *Data parallel algorithms*, CACM 29, 1986).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from tensoralg.errors import LostRank, RanksDisagree, UsageError, counted

Arrays = list[torch.Tensor]
Merge = Callable[[Arrays, Arrays, Arrays], Arrays]
FACTS = 1024  # bytes in which every rank says what it was given
ERROR = "error"


def process_group(device: str = "cpu", timeout: float = 1800.0) -> Any:
    """Return the default process group, made if there is none: NCCL for CUDA devices, else gloo.

    Parameters
    ----------
    device : "cpu" or "cuda"
        Where the arrays are; of CUDA devices, each rank of a machine takes that of its number.
    timeout : float
        Seconds after which an exchange has failed.

    Raises
    ------
    UsageError
        If this process was not started as a rank.
    """
    if not dist.is_initialized():
        if "RANK" not in os.environ:
            raise UsageError("this process is no rank", remedy="start it with torchrun --nproc-per-node ...")
        cuda = torch.device(device).type == "cuda"
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(seconds=timeout))
    return dist.group.WORLD


class Ranks:
    """The ranks of a process group.

    Parameters
    ----------
    group : ProcessGroup or one-dimensional DeviceMesh, optional
        The default group if not given.
    timeout : float, optional
        Seconds for one exchange; the group's own if not given.

    Attributes
    ----------
    rank, size : int
        The number of this rank in the group, and how many there are.
    """

    def __init__(self, group: Any = None, timeout: float | None = None) -> None:
        if not dist.is_available() or not dist.is_initialized():
            raise UsageError(
                "there is no process group",
                remedy="start the program with torchrun, and call process_group() first",
            )
        self.group = group.get_group() if hasattr(group, "get_group") else group
        self.timeout = None if timeout is None else timedelta(seconds=timeout)
        self.rank, self.size = dist.get_rank(self.group), dist.get_world_size(self.group)

    def _run(self, what: str, start: Callable[[], Sequence[Any]]) -> None:
        """Start an exchange and wait for it."""
        try:
            for work in start():
                if self.timeout is None:
                    work.wait()
                else:
                    work.wait(self.timeout)
        except RuntimeError as error:  # torch.distributed's own errors are RuntimeErrors
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise LostRank(
                f"rank {self.rank} of {self.size} could not {what}: {reason}",
                remedy="look at the output of the other ranks for the one that failed first, and start all again",
                operation=what,
                rank=self.rank,
                size=self.size,
            ) from error

    def agree(self, facts: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
        """Return what every rank says about its inputs.

        Raises
        ------
        RanksDisagree
            If a rank was given inputs that are refused.
        """
        read = self.tell(facts, device)
        for rank, one in enumerate(read):
            if ERROR in one:
                raise RanksDisagree(
                    f"rank {rank} of {self.size} refused its inputs: {one[ERROR]}",
                    remedy="give that rank other inputs",
                    rank=rank,
                )
        return read

    def tell(self, facts: Mapping[str, Any], device: torch.device) -> list[dict[str, Any]]:
        """Return what every rank says, at once."""
        text = json.dumps(facts).encode()
        if len(text) > FACTS:
            text = json.dumps({ERROR: f"more than {FACTS} bytes to say about its inputs"}).encode()
        mine = torch.tensor(list(text.ljust(FACTS)), dtype=torch.uint8, device=device)
        found = [torch.empty_like(mine) for _ in range(self.size)]
        self._run("tell the others of its inputs", lambda: [dist.all_gather(found, mine, self.group, async_op=True)])
        return [json.loads(bytes(one.tolist())) for one in found]

    def sum(self, array: torch.Tensor) -> torch.Tensor:
        """Return the sum over all ranks, for which gradients are summed over all ranks."""
        found: torch.Tensor = _Sum.apply(array, self)  # type: ignore[no-untyped-call]
        return found

    def gather(self, array: torch.Tensor, axis: int, lengths: Sequence[int]) -> torch.Tensor:
        """Return the parts of all ranks, which have the given lengths along an axis, one after the other."""
        found: torch.Tensor = _Gather.apply(array, axis, tuple(lengths), self)  # type: ignore[no-untyped-call]
        return found

    def summed(self, array: torch.Tensor) -> torch.Tensor:
        """Return the sum over all ranks, without gradients."""
        total = array.detach().clone(memory_format=torch.contiguous_format)
        what = f"sum {counted(total.numel(), 'element')} over the ranks"
        self._run(what, lambda: [dist.all_reduce(total, group=self.group, async_op=True)])
        return total

    def gathered(self, array: torch.Tensor, axis: int, lengths: Sequence[int]) -> torch.Tensor:
        """Return the parts of all ranks one after the other, without gradients; all travel as long as the longest."""
        first = array.detach().movedim(axis, 0)
        sent = first.new_zeros((max(lengths), *first.shape[1:]))
        sent[: len(first)] = first
        found = [torch.empty_like(sent) for _ in lengths]
        what = f"gather {counted(sent.numel(), 'element')} from every rank"
        self._run(what, lambda: [dist.all_gather(found, sent, self.group, async_op=True)])
        whole = torch.cat([part[:length] for part, length in zip(found, lengths, strict=True)])
        return whole.movedim(0, axis)

    def exchange(self, arrays: Arrays | None, like: Arrays, to: int | None, source: int | None) -> Arrays | None:
        """Send arrays to one rank and return those that another sends, of the shapes of `like`; None for no rank."""
        works, received = [], None
        if to is not None and arrays is not None:
            message = torch.cat([array.reshape(-1) for array in arrays])
            works.append(dist.P2POp(dist.isend, message, group=self.group, group_peer=to))
        if source is not None:
            received = like[0].new_empty(sum(array.numel() for array in like))
            works.append(dist.P2POp(dist.irecv, received, group=self.group, group_peer=source))
        what = "exchange states with " + " and ".join(f"rank {r}" for r in (to, source) if r is not None)
        if works:
            self._run(what, lambda: dist.batch_isend_irecv(works))
        if received is None:
            return None
        parts = received.split([array.numel() for array in like])
        return [part.view(array.shape) for part, array in zip(parts, like, strict=True)]

    def before(self, own: Arrays, first: Arrays, static: Arrays, merge: Merge, backward: bool = False) -> Arrays:
        """Return the merged arrays of the ranks before this one, in the order of ranks or backward.

        Parameters
        ----------
        own : list of Tensor
            What this rank has.
        first : list of Tensor
            What the merged arrays of no ranks are.
        static : list of Tensor
            What the merge needs besides.
        merge : callable
            Of the arrays on the left, those on the right, and the static ones; associative.
        backward : bool
            Whether the last rank is the first in time.
        """
        arrays = (*own, *first, *static)
        found: tuple[torch.Tensor, ...] = _Before.apply(self, merge, backward, len(own), *arrays)  # type: ignore[no-untyped-call]
        return list(found)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, array: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        ctx.ranks = ranks
        return ranks.summed(array)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        return ctx.ranks.summed(grads[0]), None


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, array: torch.Tensor, axis: int, lengths: tuple[int, ...], ranks: Ranks) -> torch.Tensor:
        ctx.place = axis, lengths, ranks
        return ranks.gathered(array, axis, lengths)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        axis, lengths, ranks = ctx.place
        total = ranks.summed(grads[0])
        return total.narrow(axis, sum(lengths[: ranks.rank]), lengths[ranks.rank]), None, None, None


class _Before(torch.autograd.Function):
    """The scan; its backward pass does the rounds in the other order, and sends gradients the other way."""

    @staticmethod
    def forward(
        ctx: Any, ranks: Ranks, merge: Merge, backward: bool, count: int, *arrays: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        own, first, static = (list(arrays[a:b]) for a, b in ((0, count), (count, 2 * count), (2 * count, None)))
        place, turn = _order(ranks, backward)
        begin = schedule(place, ranks.size)[0]
        here = ranks.exchange(own, own, *map(turn, begin)) or first
        rounds: list[Any] = []
        for ends in schedule(place, ranks.size)[1:]:
            left = ranks.exchange(here, here, *map(turn, ends))
            if left is None:
                rounds.append((ends, None, None))
                continue
            with torch.enable_grad():
                leaves = [array.detach().requires_grad_() for array in (*left, *here, *static)]
                merged = merge(leaves[:count], leaves[count : 2 * count], leaves[2 * count :])
            here = [array.detach() for array in merged]
            rounds.append((ends, leaves, merged))
        ctx.ranks, ctx.rounds, ctx.count, ctx.begin, ctx.turn = ranks, rounds, count, begin, turn
        ctx.static, ctx.own = static, own
        return tuple(array.clone() for array in here)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        ranks, count = ctx.ranks, ctx.count
        now = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, ctx.own, strict=True)]
        static = [torch.zeros_like(array) for array in ctx.static]
        for (to, source), leaves, merged in reversed(ctx.rounds):
            back = None
            if leaves is not None:
                pulled = torch.autograd.grad(merged, leaves, now, allow_unused=True)
                found = [torch.zeros_like(x) if g is None else g for g, x in zip(pulled, leaves, strict=True)]
                back, now = found[:count], found[count : 2 * count]
                static = [a + b for a, b in zip(static, found[2 * count :], strict=True)]
            passed = ranks.exchange(back, now, ctx.turn(source), ctx.turn(to))
            now = now if passed is None else [a + b for a, b in zip(now, passed, strict=True)]
        to, source = map(ctx.turn, ctx.begin)
        own = ranks.exchange(now, now, source, to)
        gradient = own or [torch.zeros_like(x) for x in ctx.own]
        return None, None, None, None, *gradient, *[None] * count, *static


def _order(ranks: Ranks, backward: bool) -> tuple[int, Callable[[int | None], int | None]]:
    """Return the place of this rank in time, and the rank at a place."""
    last = ranks.size - 1

    def turn(place: int | None) -> int | None:
        return place if place is None or not backward else last - place

    return last - ranks.rank if backward else ranks.rank, turn


def schedule(place: int, size: int) -> list[tuple[int | None, int | None]]:
    """Return to which place one sends what it has in every round of a scan, and from which it takes; None for none.

    Examples
    --------
    >>> schedule(0, 4), schedule(1, 4)
    ([(1, None), (None, None), (None, None)], [(2, 0), (2, None), (3, None)])
    """
    steps = [1]
    while steps[-1] < size - 1:
        steps.append(2 * steps[-1])
    found: list[tuple[int | None, int | None]] = []
    for k, step in enumerate([1, *steps[:-1]]):
        begins = 1 if k else 0  # after the first round, the first place has nothing to pass on
        to = place + step if place >= begins and place + step < size else None
        found.append((to, place - step if place - step >= begins else None))
    return found
