"""What an expression costs, and in which order it should be contracted, for all sizes."""

from tensoralg.plan.cost import Cost, CostStatement, CostVerdict, Quantity, cost
from tensoralg.plan.optimizers import Optimizer
from tensoralg.plan.plan import Plan, Program, plan
from tensoralg.plan.regimes import Condition, Regime

__all__ = [
    "Condition",
    "Cost",
    "CostStatement",
    "CostVerdict",
    "Optimizer",
    "Plan",
    "Program",
    "Quantity",
    "Regime",
    "cost",
    "plan",
]
