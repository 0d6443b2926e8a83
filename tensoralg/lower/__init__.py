"""Lowering: definitions to validated torch kernels, and kernels checked against their definitions."""

from tensoralg.lower.compile import compile
from tensoralg.lower.custom_op import register
from tensoralg.lower.distributed import communication, distribute
from tensoralg.lower.exports import Exported, export, load_exported, read_card
from tensoralg.lower.flops import Cost, count, custom_mapping
from tensoralg.lower.gradients import GradientReport, verify_gradient
from tensoralg.lower.memory import Memory, track
from tensoralg.lower.operator import Operator
from tensoralg.lower.ranks import process_group
from tensoralg.lower.streams import StreamOperator
from tensoralg.lower.transformers import register_attention
from tensoralg.lower.verify import Report, verify

__all__ = [
    "Cost",
    "GradientReport",
    "Exported",
    "Memory",
    "Operator",
    "Report",
    "StreamOperator",
    "communication",
    "compile",
    "count",
    "custom_mapping",
    "distribute",
    "process_group",
    "register",
    "register_attention",
    "export",
    "load_exported",
    "read_card",
    "track",
    "verify",
    "verify_gradient",
]
