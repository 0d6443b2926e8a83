"""What an expression costs, and in which order it should be contracted, for all sizes.

What is computed
    `block`, `blocks` (the graph of array operations), `distribute` (other graphs with the same value),
    `pairs`, `share` (equal steps done once).
What it costs
    `tree` (one contraction), `schedule`, `graph` (everything), `slicing` (in slices), `polynomial`.
Exact orders
    `exact` (over symbols and numbers), `regimes`, `envelope` (which are best somewhere), `conditions` (where),
    with `farkas` and `simplify` for inequalities and `lines` for borders.
Searched orders
    `search`, made of `portfolio` (`greedy`, `bisection`, `linear`, `anneal`, `subtrees`), `beside` (a second
    process), `bounded` (proofs of optimality), `descent` (memory), on a `hypergraph`; `optimizers` is
    opt_einsum's interface.
Memory limits
    `slices`, `slice_search`.
What people see
    `plan`, `orders` (puts all of it together), `names`, `steps`, `atlas`, `report`.
Statements about costs
    `cost`, `statement`, `comparisons`, `cones`.
"""

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
