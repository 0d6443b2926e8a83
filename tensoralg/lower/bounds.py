"""Rigorous running error bounds: every value of a program with a ball for its exact value and an error.

The exact value is that of the program in real arithmetic at the given inputs.  It is enclosed by a ball
``[x - r, x + r]``, and the computed value differs from it by at most E.  The same rules give r, from a
run in float64, and E, for the arithmetic of the kernel.  For one operation on computed values
(N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., SIAM 2002, ch. 2 and 3):

* contraction of length k: ``sum(|x| E_y + E_x |y| + E_x E_y) + gamma_k sum((|x| + E_x)(|y| + E_y))``;
* a value plus a contraction of length k, at once: the value is one more term of the sum, in any order, so
  ``gamma_(k+1)`` times the sum of all absolute terms;
* quotient, where ``|y| > E_y`` (else infinite):
  ``(|y| E_x + |x| E_y) / (|y| (|y| - E_y)) (1 + u) + u |x / y|``;
* ``exp``: ``exp(x) (exp(E) - 1) + c exp(x + E)``, c the assumed accuracy of exp;
* other functions: by their range on the ball;
* decay: see `lower.products`;
* softmax: the computed shift m cancels exactly, a weight has the log-error ``l = E + u |x - m| + c``, the
  denominator the log-error ``log(sum(p exp(l)))``, and contains exp(0) = 1, so that underflow is
  harmless (P. Blanchard, D. J. Higham, N. J. Higham, *Accurately computing the log-sum-exp and softmax
  functions*, IMA J. Numer. Anal. 41, 2021).

Everything is computed in float64 and enlarged by more than the rounding errors of computing it.  A
bound is infinite where nothing can be said: overflow, ``k u >= 1``, a denominator that may be 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from tensoralg.expr.evaluate import size_of
from tensoralg.lower.arithmetic import Arithmetic, arithmetic, gamma
from tensoralg.lower.emit import Writer, einsum_text
from tensoralg.lower.helpers import HELPERS
from tensoralg.lower.operator import Operator
from tensoralg.lower.products import gate_counts, product_change, product_error
from tensoralg.lower.program import (
    AddProduct,
    Arg,
    Binary,
    Einsum,
    Function,
    Indicator,
    Literal,
    One,
    Paths,
    Power,
    Program,
    Scale,
    Softmax,
    Step,
    Triangle,
    Where,
)
from tensoralg.lower.scales import exact_scale, reciprocal

SLOP = 2.0**-52


@dataclass(frozen=True)
class Ball:
    """Exact values in ``[mid - radius, mid + radius]``, and a bound on the error of the computed ones."""

    mid: Tensor
    radius: Tensor
    error: Tensor

    @classmethod
    def exact(cls, values: Tensor) -> Ball:
        """Return the ball of values that are known and computed exactly."""
        nothing = torch.zeros_like(values)
        return cls(values, nothing, nothing)

    @cached_property
    def magnitude(self) -> Tensor:
        """An upper bound of the absolute exact value."""
        return up(self.mid.abs() + self.radius)

    @property
    def least(self) -> Tensor:
        """A lower bound of the absolute exact value."""
        return (self.mid.abs() * (1 - 4 * SLOP) - up(self.radius)).clamp(min=0)

    @property
    def lower(self) -> Tensor:
        """A lower bound of the exact value."""
        return self.mid - up(self.radius + 4 * SLOP * self.mid.abs())

    @property
    def upper(self) -> Tensor:
        """An upper bound of the exact value."""
        return self.mid + up(self.radius + 4 * SLOP * self.mid.abs())


def up(x: Tensor, terms: int = 0) -> Tensor:
    """Return x >= 0 enlarged by more than the rounding errors of a sum of `terms` products."""
    return x * (1 + (terms + 64) * SLOP)


def error_bound(
    program: Program, arrays: Mapping[str, Tensor | Ball], sizes: Mapping[str, int], machine: Arithmetic
) -> tuple[Tensor, ...]:
    """Return, for each result of a program, an upper bound of the absolute error of every entry.

    Parameters
    ----------
    program : Program
        What is run.
    arrays : mapping of str to Tensor or Ball
        The inputs in float64, without batch axes: exact ones, or balls for those that carry an error.
    sizes : mapping of str to int
        The sizes of the dimensions.
    machine : Arithmetic
        The arithmetic that the program is run in.
    """
    return tuple(ball.error for ball in Enclosure(program, machine).results(arrays, sizes))


def chosen_program(operator: Operator, sizes: Mapping[str, int]) -> Program:
    """Return the program that runs at the given sizes."""
    costs = [size_of(cost, sizes) for cost in operator.costs]
    return operator.programs[costs.index(min(costs))]


class Enclosure:
    """Runs one program in balls, as often as wanted.

    Parameters
    ----------
    program : Program
        What is run.
    machine : Arithmetic
        The arithmetic that it is run in.
    joint : bool
        Whether one bound serves for radius and error, in half the time.  No rule gives less for coarser roundings, and
        none of the supported formats is finer than float64 in any respect, so that the errors are radii as well.
    """

    def __init__(self, program: Program, machine: Arithmetic, joint: bool = False) -> None:
        self.program, self.machine = program, machine
        self.reference = machine if joint else arithmetic(torch.float64, "cpu")
        self.writer = Writer(program)
        self.lines = {step.name: compile(self._line(step), step.name, "eval") for step in program.steps}
        ops = [s.op.product if isinstance(s.op, AddProduct) else s.op for s in program.steps]
        self.texts = {op: einsum_text(op).strip('"') for op in ops if isinstance(op, Einsum)}
        self.sizes: Mapping[str, int] = {}
        self.values: dict[str, Tensor] = {}
        self.balls: dict[str, Ball] = {}
        self.globals = {"torch": torch, "math": math, "reciprocal": reciprocal, **HELPERS}

    def _keep(self, name: str, ball: Ball) -> None:
        self.values[name], self.balls[name] = ball.mid, ball

    def results(self, arrays: Mapping[str, Tensor | Ball], sizes: Mapping[str, int]) -> tuple[Ball, ...]:
        """Return the balls of the results; the parameters are those of :func:`error_bound`."""
        self.sizes, self.values, self.balls = sizes, {}, {}
        self.globals.update({v: sizes[d] for d, v in self.writer.variables.items()})
        for name, array in arrays.items():
            self._keep(name, array if isinstance(array, Ball) else Ball.exact(array))
        for step in self.program.steps:
            self._enclose(step)
            for name in step.frees:
                del self.values[name]
                self.balls.pop(name, None)
        return tuple(self.balls[name] for name in self.program.results)

    def _enclose(self, step: Step) -> None:
        mid = self._run(step, self.values)
        if mid.dtype == torch.bool:
            self.values[step.name] = mid
            return
        ball = Ball.exact(mid.double())
        radius = self._finite(ball, self._spread(step, self.reference, ball), self.reference)
        ball = replace(ball, radius=radius, error=radius)
        if self.machine is not self.reference:
            ball = replace(ball, error=self._finite(ball, self._spread(step, self.machine, ball), self.machine))
        self._keep(step.name, ball)

    def _line(self, step: Step) -> str:
        if isinstance(step.op, Triangle):
            step = replace(step, op=replace(step.op, in_place=False))
        if isinstance(step.op, AddProduct):
            step = replace(step, op=replace(step.op, overwrites=""))
        return self.writer.operation(step)

    def _run(self, step: Step, values: Mapping[str, Any]) -> Tensor:
        """Return the value of a step: its own line of source, in float64, which overwrites nothing."""
        return eval(self.lines[step.name], self.globals, dict(values))  # type: ignore[no-any-return]

    def _finite(self, ball: Ball, error: Tensor, machine: Arithmetic) -> Tensor:
        """Return the error, infinite where the computed value may overflow or nothing is known."""
        return torch.where(up(ball.magnitude + error) < machine.largest, error, math.inf)  # NaN is not below

    def _operand(self, name: str, machine: Arithmetic) -> Ball:
        """Return a value; in the reference arithmetic, what is computed is the middle of the ball."""
        ball = self.balls[name]
        if machine is self.reference and ball.error is not ball.radius:
            return replace(ball, error=ball.radius)
        return ball

    def _placed(self, arg: Arg, rank: int, machine: Arithmetic) -> Ball:
        ball = self._operand(arg.name, machine)
        if len(arg.places) == rank:
            return ball
        pattern = (..., *(slice(None) if axis in arg.places else None for axis in range(rank)))
        return Ball(ball.mid[pattern], ball.radius[pattern], ball.error[pattern])

    def _spread(self, step: Step, machine: Arithmetic, result: Ball) -> Tensor:
        """Return a bound on the error of the value that a step computes."""
        op, rank = step.op, len(step.axes)
        if isinstance(op, Literal | Indicator | One):
            return torch.zeros_like(result.mid)
        if isinstance(op, Einsum):
            return self._einsum(op, machine)
        if isinstance(op, AddProduct):
            return self._add_product(op, machine)
        if isinstance(op, Scale):
            return self._scale(op, machine)
        if isinstance(op, Paths):
            return self._decay(step, op, result.mid, machine)
        if isinstance(op, Binary):
            left, right = self._placed(op.left, rank, machine), self._placed(op.right, rank, machine)
            return quotient(left, right, machine) if op.symbol == "/" else total(left, right, result.mid, machine)
        if isinstance(op, Function):
            return FUNCTIONS[op.function](self._operand(op.source, machine), machine)
        if isinstance(op, Power):
            return integer_power(self._operand(op.source, machine), op.exponent, machine)
        if isinstance(op, Softmax):
            return self._softmax(op, rank, machine, result)
        if isinstance(op, Where):
            return self._run(step, {**self.values, op.source.name: self._operand(op.source.name, machine).error})
        return self._run(step, {op.source: self._operand(op.source, machine).error})

    def _einsum(self, op: Einsum, machine: Arithmetic) -> Tensor:
        text = self.texts[op]
        sides = [self._operand(name, machine) for name in op.operands]
        extents = {
            k: n
            for name, ks in zip(op.operands, op.labels, strict=True)
            for k, n in zip(ks, self.values[name].shape, strict=True)
        }
        terms = math.prod(n for label, n in extents.items() if label not in op.output)
        summed = set(extents) != set(op.output)
        if len(sides) == 1:
            error = torch.einsum(text, sides[0].error)
            if not summed:
                return error
            computed = torch.einsum(text, sides[0].magnitude + sides[0].error)
            return up(
                error + times(gamma(max(terms - 1, 0), machine.accumulation), computed) + terms * machine.tiny, terms
            )
        inherited, computed = self._products(op, machine.operand if summed else 0.0, machine)
        return rounded_sum(inherited, computed, terms, machine)

    def _products(self, op: Einsum, operand: float, machine: Arithmetic) -> tuple[Tensor, Tensor]:
        """Return the error that two operands pass on to a contraction, and the sum of its absolute products."""
        text = self.texts[op]
        sides = [self._operand(name, machine) for name in op.operands]
        (x, e), (y, f) = ((s.magnitude, s.error) for s in sides)
        if operand:
            e, f = e + operand * (x + e), f + operand * (y + f)
        computed = torch.einsum(text, x + e, y + f)
        inherited = torch.zeros_like(computed)
        if f.any():
            inherited = torch.einsum(text, x, f)
        if e.any():
            inherited = inherited + torch.einsum(text, e, y + f)
        return inherited, computed

    def _add_product(self, op: AddProduct, machine: Arithmetic) -> Tensor:
        inherited, computed = self._products(op.product, machine.operand, machine)
        added = self._operand(op.added, machine)
        left, labels = self.values[op.product.operands[0]], op.product.labels[0]
        terms = math.prod(n for n, k in zip(left.shape, labels, strict=True) if k not in op.product.output)
        return rounded_sum(inherited + added.error, computed + added.magnitude + added.error, terms + 1, machine)

    def _decay(self, step: Step, op: Paths, mid: Tensor, machine: Arithmetic) -> Tensor:
        gate = self._operand(op.source, machine)
        steps = len(gate.mid) if gate.mid.dim() else len(mid)
        counts = gate_counts(steps, op.later, op.earlier)
        over = counts.reshape([*counts.shape, *[1] * (gate.mid.dim() - 1)])

        def products(other: Tensor) -> Tensor:
            return self._run(step, {op.source: other})

        largest = gate.magnitude + gate.error if gate.error.any() or gate.radius.any() else gate.mid
        rounding = product_error(products, largest, over, machine)
        return rounding + product_change(products, gate.magnitude, gate.error, over) if gate.error.any() else rounding

    def _scale(self, op: Scale, machine: Arithmetic) -> Tensor:
        """The factor is computed in float64, rounded to the format and multiplied."""
        computed, off = exact_scale(op.factor, self.sizes)
        ball = self._operand(op.source, machine)
        factor = abs(computed) + off
        off = off + machine.unit * factor + machine.tiny
        largest = ball.magnitude + ball.error
        return up(factor * ball.error + off * largest + machine.unit * (factor + off) * largest + machine.tiny)

    def _softmax(self, op: Softmax, rank: int, machine: Arithmetic, result: Ball) -> Tensor:
        x = self._placed(op.source, rank, machine)
        kept = torch.ones_like(result.mid, dtype=torch.bool)
        for mask in op.masks:
            pattern = (..., *(slice(None) if axis in mask.places else None for axis in range(rank)))
            kept = kept & self.values[mask.name][pattern]
        axis = op.axis - rank
        if not result.mid.shape[axis]:
            return torch.zeros_like(result.mid)
        top = torch.where(kept, x.upper + x.error, -math.inf).amax(axis, keepdim=True)
        distance = top - x.lower + x.error
        c = machine.function
        log_error = torch.where(kept, up(x.error + machine.unit * distance + c / (1 - c)), 0.0)
        # in the reference arithmetic the radius is not yet known: bound the average by the maximum
        if machine is self.reference:
            denominator = log_error.amax(axis, keepdim=True)
        else:
            weights = up(result.mid + result.radius)
            average = (weights * log_error.exp()).sum(axis, keepdim=True)
            denominator = torch.minimum(average.clamp(min=1.0).log(), log_error.amax(axis, keepdim=True))
        terms = result.mid.shape[axis]
        sum_error = gamma(terms, machine.accumulation)
        unit = machine.unit + machine.output
        log_total = up(log_error + denominator + sum_error + 4 * unit + 4 * terms * machine.tiny, 4 * terms)
        if machine is self.reference:
            spread = up(result.mid * torch.expm1(log_total))
        else:
            spread = up(up(result.mid + result.radius) * torch.expm1(log_total))
        return torch.where(kept, spread + 8 * terms * machine.tiny, 0.0)


def times(factor: float, x: Tensor) -> Tensor:
    """Return the product, with infinity times 0 infinite: nothing is known."""
    return x * factor if math.isfinite(factor) else torch.full_like(x, math.inf)


def rounded_sum(inherited: Tensor, computed: Tensor, terms: int, machine: Arithmetic) -> Tensor:
    """The error of a sum of products, in any order; `computed` is the sum of their absolute values."""
    rounding = times(gamma(terms, machine.accumulation), computed)
    error = inherited + rounding
    if machine.output:
        error = error + times(machine.output, computed + rounding)
    return up(error + 2 * terms * machine.tiny, 3 * terms)


def total(left: Ball, right: Ball, mid: Tensor, machine: Arithmetic) -> Tensor:
    """The error of a sum or difference with the given middle."""
    inherited = left.error + right.error
    magnitude = mid.abs() * (1 + 4 * SLOP) + left.radius + right.radius
    return up(inherited + machine.unit * (magnitude + inherited) + machine.tiny)


def quotient(x: Ball, y: Ball, machine: Arithmetic) -> Tensor:
    """The error of a quotient; infinite where the computed denominator may be 0."""
    least, room = y.least, y.least - y.error
    inherited = (least * x.error + x.magnitude * y.error) / (least * room)
    error = inherited * (1 + machine.unit) + machine.unit * x.magnitude / least + machine.tiny
    return torch.where(room > 0, up(error), math.inf)


def exponential(x: Ball, machine: Arithmetic) -> Tensor:
    """The error of exp."""
    top = torch.exp(x.upper) * (1 + machine.function) * (1 + 64 * SLOP)
    return up(top * torch.expm1(x.error) + machine.function * top * torch.exp(x.error)) + machine.tiny


def logarithm(x: Ball, machine: Arithmetic) -> Tensor:
    """The error of log; infinite where the computed argument may not be positive."""
    low, high = x.lower - x.error, x.upper + x.error
    largest = torch.maximum(torch.log(low).abs(), torch.log(high).abs())
    error = up(-torch.log1p(-x.error / x.lower)) + up((machine.function + 64 * SLOP) * largest) + machine.tiny
    return torch.where(low > 0, error, math.inf)


def square_root(x: Ball, machine: Arithmetic) -> Tensor:
    """The error of sqrt; infinite where the computed argument may be negative."""
    exact_zero = (x.magnitude == 0) & (x.error == 0)
    low = x.lower - x.error
    error = x.error / (torch.sqrt(x.lower) + torch.sqrt(low)) + machine.unit * torch.sqrt(x.upper + x.error)
    return torch.where(exact_zero, 0.0, torch.where(low > 0, up(error) + machine.tiny, math.inf))


def rectifier(x: Ball, machine: Arithmetic) -> Tensor:
    """The error of relu, which is 1-Lipschitz and exact."""
    return x.error


def integer_power(x: Ball, exponent: int, machine: Arithmetic) -> Tensor:
    """The error of an integer power, computed by products or by a function of the stated accuracy."""
    k = abs(exponent)
    rounding = gamma(k, machine.unit) + machine.function
    if exponent > 0:
        largest = x.magnitude + x.error
        inherited = k * x.error * largest ** (k - 1)
        return up(inherited + rounding * largest**k + k * machine.tiny * largest.clamp(min=1.0) ** (k - 1), k)
    least = x.least - x.error
    error = k * x.error / least ** (k + 1) + rounding / least**k + machine.tiny
    return torch.where((least > 0) & (least**k > 2 * machine.tiny), up(error, k), math.inf)


FUNCTIONS = {"exp": exponential, "log": logarithm, "sqrt": square_root, "relu": rectifier}
