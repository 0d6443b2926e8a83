"""Operators as attention functions of small, randomly initialised models of Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch

import tensoralg as ta
from tensoralg.errors import InvalidExpression, UnknownName, UsageError
from tensoralg.lower.operator import Operator

transformers = pytest.importorskip("transformers")

INDICES = {"t,s,u": "n ordered", "f,g": "d", "e": "e"}
APART = {"t": "m", "s,u": "n", "f,g": "d", "e": "e"}
SOFTMAX = "O[t,e] = sum(s: {0}*V[s,e])/sum(u: {1})"
SCORE = "exp(sum(f: Q[t,f]*K[{0},f])/sqrt(d))"
TEXTS = {
    "causal": ("le[s,t]*" + SCORE.format("s"), "le[u,t]*" + SCORE.format("u"), INDICES),
    "full": (SCORE.format("s"), SCORE.format("u"), INDICES),
    "biased": (
        "exp(sum(f: Q[t,f]*K[s,f])/sqrt(d) + B[t,s])",
        "exp(sum(f: Q[t,f]*K[u,f])/sqrt(d) + B[t,u])",
        APART,
    ),
    "scaled": ("exp(c[]*sum(f: Q[t,f]*K[s,f]) + B[t,s])", "exp(c[]*sum(f: Q[t,f]*K[u,f]) + B[t,u])", APART),
    "masked": ("M[t,s]*" + SCORE.format("s"), "M[t,u]*" + SCORE.format("u"), APART),
}
OTHERS = {
    "linear": "O[t,e] = le[s,t]*Q[t,f]*K[s,f]*V[s,e]",
    "second_order": "O[t,e] = le[s,t]*sum(f: Q[t,f]*K[s,f])*sum(f: Q[t,f]*K[s,f])*V[s,e]",
    "chained": "O[t,e] = le[s,t]*lt[u,s]*sum(f: Q[t,f]*K[s,f])*sum(f: K[s,f]*K[u,f])*V[u,e]",
    "earlier_query": "O[t,e] = le[s,t]*sum(f: Q[s,f]*K[s,f])*V[s,e]",
}
NAMED = {"biased": {"bias": "B"}, "scaled": {"bias": "B", "scale": "c"}, "masked": {"mask": "M"}}


@cache
def operator(name: str) -> Operator:
    if name in OTHERS:
        return ta.compile(ta.parse(OTHERS[name], indices=INDICES))
    if name == "streamed":
        return ta.compile(ta.stream(ta.parse(OTHERS["linear"], indices=INDICES), along="n"), form="chunked")
    above, below, indices = TEXTS[name]
    return ta.compile(ta.parse(SOFTMAX.format(above, below), indices=indices))


@cache
def registered(name: str) -> str:
    """Register an operator once; return the name of its attention function."""
    ta.register_attention(f"tensoralg_{name}", operator(name), **NAMED.get(name, {}))
    return f"tensoralg_{name}"


def gpt2(attention: str, **options: Any) -> Any:
    config = transformers.GPT2Config(
        vocab_size=23, n_positions=32, n_embd=16, n_layer=2, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0,
        **{"attn_pdrop": 0.0, **options}, bos_token_id=0, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return made(transformers.GPT2LMHeadModel, config, attention)


def llama(attention: str, **options: Any) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=23, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, bos_token_id=0, eos_token_id=None, pad_token_id=0, **options,
    )  # fmt: skip
    return made(transformers.LlamaForCausalLM, config, attention)


def bert(attention: str) -> Any:
    config = transformers.BertConfig(
        vocab_size=23, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return made(transformers.BertModel, config, attention)


def made(kind: Any, config: Any, attention: str) -> Any:
    torch.manual_seed(0)
    config._attn_implementation = attention
    model = kind(config).double().eval()
    assert model.config._attn_implementation == attention
    with torch.no_grad():  # scores that differ enough to matter
        for parameter in model.parameters():
            parameter.mul_(3 if parameter.dim() > 1 else 1)
    return model


TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7]])
LEFT = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]])
# float64 all the way in GPT-2; Llama normalises, and attends when eager, in float32
MODELS = {"gpt2": (gpt2, 1e-11), "llama": (llama, 1e-4)}


def logits(model: Any, **inputs: Any) -> torch.Tensor:
    with torch.no_grad():
        found = model(TOKENS, **inputs)
    return found.logits if hasattr(found, "logits") else found.last_hidden_state


@pytest.mark.parametrize("peer", ["eager", "sdpa"])
@pytest.mark.parametrize("name", ["causal", "biased", "masked", "scaled"])
@pytest.mark.parametrize("model", MODELS)
def test_logits_are_those_of_the_model(model: str, name: str, peer: str) -> None:
    build, accuracy = MODELS[model]
    wanted = logits(build(peer))
    assert wanted.std() > 0.1
    torch.testing.assert_close(logits(build(registered(name))), wanted, atol=accuracy, rtol=accuracy)
    assert not torch.allclose(logits(build(registered("linear"))), wanted, atol=1e-3)


@pytest.mark.parametrize("padding", [LEFT, LEFT.flip(1)])
@pytest.mark.parametrize("name", ["biased", "masked", "scaled"])
@pytest.mark.parametrize("model", MODELS)
def test_padded_batches(model: str, name: str, padding: torch.Tensor) -> None:
    build, accuracy = MODELS[model]
    wanted = logits(build("sdpa"), attention_mask=padding)  # eager, in float32, has no lowest float64
    found = logits(build(registered(name)), attention_mask=padding)
    real = padding.bool()
    torch.testing.assert_close(found[real], wanted[real], atol=accuracy, rtol=accuracy)
    assert torch.allclose(logits(build("sdpa"))[real], wanted[real], atol=1e-3) == (padding is not LEFT)


@pytest.mark.parametrize("name", ["causal", "biased"])
def test_gradients_are_those_of_the_model(name: str) -> None:
    slopes = []
    for attention in (registered(name), "eager"):
        model = gpt2(attention).train()
        model(TOKENS, labels=TOKENS).loss.backward()
        slopes.append([p.grad for p in model.parameters()])
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-10)


def test_a_step_of_training_changes_the_model() -> None:
    model = llama(registered("linear")).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model(TOKENS, labels=TOKENS).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


STATIC = {"cache_implementation": "static", "disable_compile": True}


@pytest.mark.parametrize(
    ("name", "cached"), [("causal", {}), ("biased", {}), ("masked", {}), ("biased", STATIC), ("masked", STATIC)]
)
@pytest.mark.parametrize("model", MODELS)
def test_generation_with_a_cache(model: str, name: str, cached: dict[str, Any]) -> None:
    build, accuracy = MODELS[model]
    options = {"max_new_tokens": 5, "do_sample": False, "output_logits": True, "return_dict_in_generate": True} | cached
    found = build(registered(name)).generate(TOKENS, **options)
    wanted = build("eager").generate(TOKENS, **options)
    assert torch.equal(found.sequences, wanted.sequences)
    for one, other in zip(found.logits, wanted.logits, strict=True):
        torch.testing.assert_close(one, other, atol=accuracy, rtol=accuracy)


def test_generation_from_a_padded_batch() -> None:
    options = {"max_new_tokens": 4, "do_sample": False, "attention_mask": LEFT}
    found = gpt2(registered("biased")).generate(TOKENS, **options)
    assert torch.equal(found, gpt2("eager").generate(TOKENS, **options))
    assert not torch.equal(found, gpt2("eager").generate(TOKENS, **{**options, "attention_mask": LEFT * 0 + 1}))


@pytest.mark.parametrize("name", ["linear", "second_order", "chained", "streamed"])
def test_operators_without_softmax(name: str) -> None:
    model = gpt2(registered(name))
    whole = logits(model)
    changed = TOKENS.clone()
    changed[:, 4:] = 0
    with torch.no_grad():
        torch.testing.assert_close(model(changed).logits[:, :4], whole[:, :4])  # causal
        cached = model(TOKENS[:, :3], use_cache=True)
        parts = [cached.logits]
        for k in range(3, TOKENS.shape[1]):
            cached = model(TOKENS[:, k : k + 1], past_key_values=cached.past_key_values, use_cache=True)
            parts.append(cached.logits)
        torch.testing.assert_close(torch.cat(parts, 1), whole)  # a token at a time
        cached = model(TOKENS[:, :3], use_cache=True)
        rest = model(TOKENS[:, 3:], past_key_values=cached.past_key_values, use_cache=True)
    torch.testing.assert_close(torch.cat([cached.logits, rest.logits], 1), whole)  # several tokens at once


def test_it_is_the_operator_that_runs() -> None:
    model = gpt2(registered("second_order"))
    layer = model.transformer.h[0]
    seen = {}
    layer.attn.c_attn.register_forward_hook(lambda module, args, out: seen.update(mixed=out))
    layer.attn.c_proj.register_forward_pre_hook(lambda module, args: seen.update(attended=args[0]))
    logits(model)
    q, k, v = (x.unflatten(-1, (2, 8)).transpose(1, 2) for x in seen["mixed"].split(16, dim=-1))
    wanted = torch.zeros_like(q)
    for t in range(q.shape[-2]):
        for s in range(t + 1):
            wanted[..., t, :] += (q[..., t, :] * k[..., s, :]).sum(-1, keepdim=True) ** 2 * v[..., s, :]
    torch.testing.assert_close(seen["attended"], wanted.transpose(1, 2).flatten(2))


def test_a_model_that_is_not_causal() -> None:
    mask = {"attention_mask": LEFT}
    torch.testing.assert_close(logits(bert(registered("full"))), logits(bert("eager")))
    torch.testing.assert_close(
        logits(bert(registered("biased")), **mask)[LEFT.bool()], logits(bert("eager"), **mask)[LEFT.bool()]
    )
    with pytest.raises(UsageError, match="not causal"):
        logits(bert(registered("causal")))


@pytest.fixture
def graphs() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["causal", "biased", "linear"])
def test_compiled_models(name: str, graphs: None) -> None:
    model = gpt2(registered(name))
    wanted = logits(model)
    torch.testing.assert_close(logits(torch.compile(model, fullgraph=True, backend="eager")), wanted)


@pytest.mark.parametrize(
    ("name", "what", "inputs"),
    [
        ("full", "causal", {}),
        ("causal", "padded", {"attention_mask": LEFT}),
        ("linear", "padded", {"attention_mask": LEFT.flip(1)}),
        ("masked", "adds numbers", {"attention_mask": torch.full((2, 1, 7, 7), 0.5, dtype=torch.float64)}),
    ],
)
def test_what_an_operator_cannot_do_is_refused(name: str, what: str, inputs: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        logits(gpt2(registered(name)), **inputs)
    assert caught.value.remedy


def test_masks_that_say_what_the_definition_says_are_accepted() -> None:
    lowest = torch.finfo(torch.float64).min
    plain = torch.full((7, 7), lowest, dtype=torch.float64).triu(1).expand(2, 1, 7, 7)
    for name in ("causal", "masked", "biased"):
        model = gpt2(registered(name))
        torch.testing.assert_close(logits(model, attention_mask=plain), logits(model))
        torch.testing.assert_close(logits(model, attention_mask=torch.ones_like(TOKENS)), logits(model))


def test_room_of_a_cache_that_is_not_filled_yet_has_to_be_masked() -> None:
    with pytest.raises(UsageError, match="no input for a mask"):
        gpt2(registered("causal")).generate(TOKENS, max_new_tokens=3, do_sample=False, **STATIC)


def test_queries_that_are_used_later_need_all_of_them() -> None:
    model = gpt2(registered("earlier_query"))
    logits(model)
    with pytest.raises(UsageError, match="as many queries as keys"):
        model.generate(TOKENS, max_new_tokens=2, do_sample=False)


def test_dropout_scales_and_caps_are_refused() -> None:
    with pytest.raises(UsageError, match="dropout"):
        gpt2(registered("biased"), attn_pdrop=0.1).train()(TOKENS)
    logits(gpt2(registered("biased"), attn_pdrop=0.1))
    with pytest.raises(UsageError, match="scales scores"):
        logits(gpt2(registered("biased"), scale_attn_weights=False))
    plain = {"scale_attn_weights": False}
    torch.testing.assert_close(logits(gpt2(registered("scaled"), **plain)), logits(gpt2("eager", **plain)))
    attend = transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS[registered("biased")]
    q = torch.zeros(1, 2, 3, 4)
    with pytest.raises(UsageError, match="softcap"):
        attend(torch.nn.Identity(), q, q, q, None, softcap=3.0)


@pytest.mark.parametrize("name", ["eager", "sdpa", "flash_mine", "a b", "", "a/b", "paged|mine", 3, "tensoralg_causal"])
def test_names_that_cannot_be_used(name: Any) -> None:
    registered("causal")
    with pytest.raises(UsageError) as caught:
        ta.register_attention(name, operator("causal"))
    assert caught.value.remedy


def test_inputs_have_to_be_named_and_of_the_right_legs() -> None:
    for given, error in [
        ({}, UnknownName),
        ({"bias": "Z"}, UnknownName),
        ({"query": "q", "bias": "B"}, UnknownName),
        ({"bias": "B", "mask": "B"}, UsageError),
        ({"bias": "B", "scale": "B"}, UsageError),
        ({"scale": "B"}, InvalidExpression),
        ({"query": "B", "bias": "Q"}, InvalidExpression),
        ({"query": "V", "value": "Q", "bias": "B"}, InvalidExpression),
    ]:
        with pytest.raises(error) as caught:
            ta.register_attention("tensoralg_wrong", operator("biased"), **given)
        assert caught.value.remedy
    with pytest.raises(UsageError):
        ta.register_attention("tensoralg_wrong", "softmax")  # type: ignore[arg-type]
    for text in ("O[e,t] = Q[t,f]*K[s,f]*V[s,e]", "O[t] = Q[t,f]*K[s,f]*V[s,e]"):
        with pytest.raises(InvalidExpression):
            ta.register_attention("tensoralg_wrong", ta.compile(ta.parse(text, indices=INDICES)))
    assert "tensoralg_wrong" not in transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS
