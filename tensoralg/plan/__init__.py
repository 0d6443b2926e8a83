"""What an expression costs, and in which order it should be contracted, for all sizes."""

from tensoralg.plan.conditions import Condition
from tensoralg.plan.cost import Cost, CostStatement, CostVerdict, Quantity, cost
from tensoralg.plan.plan import Plan, Program, plan
from tensoralg.plan.regimes import Regime

__all__ = [
    "Condition",
    "Cost",
    "CostStatement",
    "CostVerdict",
    "Plan",
    "Program",
    "Quantity",
    "Regime",
    "cost",
    "plan",
]
