"""Exports: operators as torch archives, ONNX models and plain source, each with a model card."""

from tensoralg.lower.exports.card import read_card
from tensoralg.lower.exports.load import Exported, load_exported
from tensoralg.lower.exports.write import export

__all__ = ["Exported", "export", "load_exported", "read_card"]
