"""Operators as attention functions of Hugging Face transformers, through its registry of attention functions.

A model calls the function with queries (batch, heads, q, d), keys and values (batch, heads of keys, k, d), where
k > q if earlier tokens are in a cache: the q queries are then those of the last of the k tokens.  It says which keys a
query sees by a mask, or by none, which for a causal module means: those not after it.  An operator meets this in one
of three ways.

1. It has an input that is added to the scores, the `bias`: 0 where a query sees a key, else the lowest number.
2. It has an input that multiplies, the `mask`: 1 where a query sees a key, else 0.
3. It has neither.  Then it has to be causal by its definition, which is proved (no output changes when all later
   tokens are set to 0), and any other mask, of a padded batch or a window, is refused; in a module that is not
   causal the other way round.

Heads are batch axes, and heads of queries that share one of keys broadcast.  Where queries and keys have one space,
missing queries of earlier tokens are filled in, and the outputs there dropped: allowed if an output depends on no
other query than that of its own token, as every use of the queries in the definition shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from tensoralg.errors import InvalidExpression, MissingDependency, UnknownName, UsageError, suggest
from tensoralg.expr import Tensor, walk
from tensoralg.expr.nodes import Entry
from tensoralg.lower.operator import Operator
from tensoralg.spaces import Space
from tensoralg.stream.statement import causality

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
CHANGES = ("softcap", "s_aux", "position_bias", "head_mask", "cache")
"""What a model may hand to an attention function that changes what it computes."""


def register_attention(
    name: str,
    operator: Operator,
    *,
    query: str = "Q",
    key: str = "K",
    value: str = "V",
    bias: str | None = None,
    mask: str | None = None,
    scale: str | None = None,
) -> Callable[..., tuple[torch.Tensor, None]]:
    """Make an operator an attention function of transformers: ``attn_implementation=name`` then uses it.

    Parameters
    ----------
    name : str
        Not registered before.
    operator : Operator
        What `compile` returned; parameters that it has stay its own and are not the model's.
    query, key, value : str
        The inputs that take queries, keys and values, with the legs (tokens, features).
    bias, mask : str, optional
        At most one: the input that is added to scores (0, or the lowest number where a key is not seen), or the one
        that multiplies (1, or 0), with the legs (tokens of queries, tokens of keys).  Without them the definition has
        to say itself which keys are seen, and padded batches are refused.
    scale : str, optional
        The scalar input that takes the model's scale of scores.  Without it, the model's scale must be
        ``1/sqrt(d)``, which is for the definition to contain, or not.

    Returns
    -------
    callable
        The attention function, as transformers calls it.

    Raises
    ------
    UsageError
        If the name cannot be used or is taken, or `operator` is none.
    UnknownName
        If the inputs of the operator are not those that are named.
    InvalidExpression
        If an input or the result has other legs.
    MissingDependency
        If transformers is not installed, or older than 4.48.

    Notes
    -----
    When it is called, dropout (in training) and whatever else changes attention (`softcap`, sinks, a bias of
    positions), scales, masks and caches that the operator has no place for are refused with a `UsageError`.

    Examples
    --------
    >>> import tensoralg as ta
    >>> spaces = {"t,s": "n ordered", "f": "d", "e": "d"}
    >>> linear = ta.compile(ta.parse("O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]", indices=spaces))
    >>> attend = register_attention("linear_example", linear)  # then: from_config(config, attn_implementation=...)
    """
    _check(operator, (query, key, value, bias, mask, scale))
    register, register_mask = _registries(name)
    tensors = {tensor.name: tensor for tensor in operator.tensors}
    roles = _Roles(operator, tensors[query], tensors[key], tensors[value], bias, mask, scale)
    roles.check_legs()
    adapter = _Adapter(name, roles, _is_causal(roles), _uses_only_its_own_query(roles))

    def attention(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        adapter.check(query, dropout, scaling, kwargs)
        causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
        return adapter(query, key, value, attention_mask, scaling, bool(causal)), None

    register(attention)
    register_mask()
    return attention


@dataclass(frozen=True)
class _Roles:
    """What the inputs of an operator stand for."""

    operator: Operator
    query: Tensor
    key: Tensor
    value: Tensor
    bias: str | None
    mask: str | None
    scale: str | None

    @property
    def one_clock(self) -> bool:
        """Whether queries and keys have one space of tokens."""
        return self.query.legs[0] == self.key.legs[0]

    def check_legs(self) -> None:
        pair = (self.query.legs[0], self.key.legs[0]) if len(self.query.legs) == len(self.key.legs) == 2 else ()
        wanted = {self.query.name: 2, self.key.name: 2, self.value.name: 2, self.bias or self.mask: 2, self.scale: 0}
        for tensor in self.operator.tensors:
            if len(tensor.legs) != wanted.get(tensor.name, len(tensor.legs)):
                raise InvalidExpression(
                    f"{tensor} has {len(tensor.legs)} legs, and as an input of attention {wanted[tensor.name]}",
                    remedy="use (tokens, features) for queries, keys and values; a scalar for the scale",
                    tensor=tensor.name,
                )
            if tensor.name in (self.bias, self.mask) and tensor.legs != pair:
                raise InvalidExpression(
                    f"{tensor} is no array of queries by keys",
                    remedy=f"give it the legs {', '.join(map(str, pair))}",
                    tensor=tensor.name,
                )
        definition = self.operator.definition
        legs = [leg.space for leg in definition.legs] if not isinstance(definition, tuple) else []
        if self.value.legs[0] != self.key.legs[0] or len(legs) != 2 or legs[0] != self.query.legs[0]:
            raise InvalidExpression(
                f"{self.operator.extra_repr()} is no attention",
                remedy="let keys and values have one space of tokens, and the result the legs (tokens, features)",
            )


def _check(operator: Any, names: tuple[str | None, ...]) -> None:
    if not isinstance(operator, Operator):
        raise UsageError(
            f"register_attention takes a compiled operator, and this is of type {type(operator).__name__}",
            remedy="compile the definition first",
        )
    named = [one for one in names if one is not None]
    *_, bias, mask, _ = names
    if bias is not None and mask is not None:
        raise UsageError("both a bias and a mask are named", remedy="name the one that the definition uses")
    for one in named:
        if one not in operator.inputs:
            raise UnknownName(f"the operator has no input {one!r}", remedy=suggest(one, operator.inputs), name=one)
    for one in operator.inputs:
        if one not in named:
            raise UnknownName(
                f"nothing is said about the input {one}",
                remedy=f"name it as bias, mask or scale, or compile with parameters={{{one!r}: ...}}",
                name=one,
            )
    if len(set(named)) != len(named):
        raise UsageError(f"an input is named twice in {', '.join(named)}", remedy="name every input once")


def _registries(name: Any) -> tuple[Callable[[Any], None], Callable[[], None]]:
    """Return how to register the attention function, and the function that makes its masks."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or "flash" in name:
        raise UsageError(
            f"{name!r} cannot name an attention function",
            remedy='use letters, digits, _ and -, and not "flash", which transformers reads as flash attention',
        )
    if find_spec("transformers") is None:
        raise MissingDependency("transformers is not installed", remedy="pip install 'transformers>=4.48'")
    from transformers import modeling_utils

    functions = getattr(modeling_utils, "ALL_ATTENTION_FUNCTIONS", None)
    if functions is None:
        raise MissingDependency("transformers is too old", remedy="pip install 'transformers>=4.48'")
    if name == "eager" or name in functions:
        raise UsageError(f"there is an attention function {name!r} already", remedy="choose another name")

    def register(function: Any) -> None:
        if hasattr(functions, "register"):
            functions.register(name, function)
        else:  # a plain dict, before 4.50
            functions[name] = function

    def register_mask() -> None:
        # before 4.53, models make the masks themselves; since then, without this, there are none
        if find_spec("transformers.masking_utils") is not None:
            from transformers import masking_utils

            masking_utils.ALL_MASK_ATTENTION_FUNCTIONS.register(name, masking_utils.sdpa_mask)

    return register, register_mask


def _is_causal(roles: _Roles) -> bool:
    """Whether the definition is proved to be causal."""
    definition, clock = roles.operator.definition, roles.query.legs[0]
    if isinstance(definition, tuple) or not roles.one_clock or not isinstance(clock, Space) or not clock.ordered:
        return False
    return bool(causality(definition, clock))


def _uses_only_its_own_query(roles: _Roles) -> bool:
    """Whether queries are used at the time of the output and at no other."""
    now = roles.operator.definitions[0].legs[0]
    uses = [node for node in walk(roles.operator.definitions[0]) if isinstance(node, Entry)]
    return all(node.args[0] == now for node in uses if node.tensor.name == roles.query.name)


@dataclass(frozen=True)
class _Adapter:
    """Calls an operator as transformers calls an attention function."""

    name: str
    roles: _Roles
    causal: bool
    own_query: bool

    def check(self, query: torch.Tensor, dropout: float, scaling: float | None, options: dict[str, Any]) -> None:
        """Raise if the model asks for what the operator does not do."""
        if dropout:
            raise UsageError(
                f"the attention {self.name!r} has no dropout, and the model asks for {dropout}",
                remedy="set the model's attention dropout to 0, or call model.eval()",
            )
        for change in CHANGES:
            if options.get(change) is not None:
                raise UsageError(
                    f"the model hands {change} to the attention {self.name!r}, which has no place for it",
                    remedy="use a model without it",
                )
        usual = query.shape[-1] ** -0.5
        if self.roles.scale is None and scaling is not None and not math.isclose(scaling, usual, rel_tol=1e-6):
            raise UsageError(
                f"the model scales scores by {scaling}, and the attention {self.name!r} has no input for it",
                remedy='write the scale as a scalar c[] and register with scale="c"',
            )

    def __call__(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        scaling: float | None,
        causal: bool,
    ) -> torch.Tensor:
        """Return the outputs, (batch, q, heads, features)."""
        if mask is not None:
            mask = mask[..., : key.shape[-2]]
        elif causal and 1 < query.shape[-2] < key.shape[-2]:
            # so transformers says that a cache of fixed size holds nothing yet but these tokens
            key, value = key[..., : query.shape[-2], :], value[..., : query.shape[-2], :]
        given = self._masks(query, key, mask, causal)
        if key.shape[1] != query.shape[1]:  # heads of queries share heads of keys
            groups = (key.shape[1], query.shape[1] // key.shape[1])
            query, key, value = query.unflatten(1, groups), key.unsqueeze(2), value.unsqueeze(2)
            given = {n: x.unsqueeze(2) if x.shape[1] == 1 else x.unflatten(1, groups) for n, x in given.items()}
        missing = key.shape[-2] - query.shape[-2] if self.roles.one_clock else 0
        if missing:
            query, given = self._filled(query, missing), {n: _repeated(x, missing) for n, x in given.items()}
        named = {self.roles.query.name: query, self.roles.key.name: key, self.roles.value.name: value}
        if self.roles.scale is not None:
            given[self.roles.scale] = torch.full(
                (), query.shape[-1] ** -0.5 if scaling is None else scaling, dtype=query.dtype, device=query.device
            )
        found: torch.Tensor = self.roles.operator(**named, **given)[..., missing:, :]
        return (found.flatten(1, 2) if found.dim() == 5 else found).transpose(1, 2).contiguous()

    def _filled(self, query: torch.Tensor, missing: int) -> torch.Tensor:
        if missing < 0 or not self.own_query:
            raise UsageError(
                f"the attention {self.name!r} has as many queries as keys, not {query.shape[-2]} queries for "
                f"{query.shape[-2] + missing} keys",
                remedy="call the model with use_cache=False, or give queries and keys spaces of their own",
            )
        return _repeated(query, missing)

    def _masks(
        self, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, causal: bool
    ) -> dict[str, torch.Tensor]:
        """Return the operator's input that says which keys are seen, if it has one; else check that it need not be."""
        count, total = query.shape[-2], key.shape[-2]
        plain = torch.ones(1, 1, count, total, dtype=torch.bool, device=query.device)
        if causal:
            plain = plain.tril(total - count)
        if self.roles.bias is not None:
            given = plain if mask is None else mask
            if given.dtype == torch.bool:
                lowest = torch.finfo(query.dtype).min
                given = torch.zeros_like(given, dtype=query.dtype).masked_fill(~given, lowest)
            return {self.roles.bias: given.to(query.dtype)}
        if self.roles.mask is not None:
            seen = plain if mask is None else self._seen(mask)
            # a query of padding sees no key; as with the lowest number, let it see all, or 0/0 would reach other tokens
            return {self.roles.mask: (seen | ~seen.any(-1, keepdim=True)).to(query.dtype)}
        if causal != self.causal:
            says = "causal" if causal else "not causal"
            found = "it is not proved to be that" if causal else "its definition is causal"
            raise UsageError(
                f"the model's attention is {says}, and of the attention {self.name!r} {found}",
                remedy="write le[s,t] into the definition" if causal else "leave le[s,t] out of the definition",
            )
        if mask is not None and not self._is(mask, plain):
            raise UsageError(
                f"the attention {self.name!r} has no input for a mask, and the model hands it one: "
                "the batch is padded, or attention is local",
                remedy="write the mask as an input M of the definition and register with mask= or bias=",
            )
        return {}

    def _seen(self, mask: torch.Tensor) -> torch.Tensor:
        """Return a mask as truth values."""
        if mask.dtype == torch.bool:
            return mask
        seen, hidden = mask == 0, mask <= torch.finfo(mask.dtype).min / 2
        if torch.compiler.is_compiling() or not bool((seen | hidden).all()):
            raise UsageError(
                f"the model adds numbers to scores, and the attention {self.name!r} has no input for them",
                remedy="register it with bias=",
            )
        return seen

    def _is(self, mask: torch.Tensor, plain: torch.Tensor) -> bool:
        """Whether a mask says nothing more; under a compiler, which cannot look at it, no mask does."""
        return not torch.compiler.is_compiling() and bool((self._seen(mask) == plain).all())


def _repeated(array: torch.Tensor, missing: int) -> torch.Tensor:
    """Return an array with copies of its first row in front."""
    return torch.cat([array[..., :1, :].expand(*array.shape[:-2], missing, -1), array], dim=-2)
