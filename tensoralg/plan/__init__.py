"""What an expression costs, and in which order it should be contracted, for all sizes."""

from tensoralg.plan.conditions import Condition
from tensoralg.plan.cost import Cost, cost
from tensoralg.plan.optimizers import Optimizer
from tensoralg.plan.plan import Plan, Program, plan
from tensoralg.plan.regimes import Regime
from tensoralg.plan.statement import CostStatement, CostVerdict, Quantity, prove_cost
from tensoralg.plan.steps import Step

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
    "Step",
    "cost",
    "plan",
    "prove_cost",
]
