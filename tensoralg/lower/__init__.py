"""Lowering: definitions to validated torch kernels, and kernels checked against their definitions."""

from tensoralg.lower.compile import compile
from tensoralg.lower.exports import Exported, export, load_exported, read_card
from tensoralg.lower.flops import Cost, count, custom_mapping
from tensoralg.lower.memory import Memory, track
from tensoralg.lower.operator import Operator
from tensoralg.lower.streams import StreamOperator
from tensoralg.lower.verify import Report, verify

__all__ = [
    "Cost",
    "Exported",
    "Memory",
    "Operator",
    "Report",
    "StreamOperator",
    "compile",
    "count",
    "custom_mapping",
    "export",
    "load_exported",
    "read_card",
    "track",
    "verify",
]
