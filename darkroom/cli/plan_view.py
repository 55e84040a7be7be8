"""How a plan, a preflight and a smoke test look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from darkroom.cli import console
from darkroom.stack.plan import Action, ResourceAction
from darkroom.stack.policies import StatementAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from darkroom.operations.promotion.gates import Gate
    from darkroom.operations.promotion.preflight import Check
    from darkroom.operations.promotion.smoke import Smoke
    from darkroom.stack.cost import Estimate
    from darkroom.stack.environments import Budget
    from darkroom.stack.plan import Plan, ResourceChange
    from darkroom.stack.policies import StatementChange

_MARKS = {
    ResourceAction.ADD: ("+", "green"),
    ResourceAction.ADOPT: ("»", "cyan"),
    ResourceAction.CHANGE: ("~", "yellow"),
    ResourceAction.REPLACE: ("±", "bold red"),
    ResourceAction.MAY_REPLACE: ("±?", "bold red"),
    ResourceAction.REMOVE: ("-", "bold red"),
}
_STATEMENT_MARKS = {
    StatementAction.ADDED: ("+", "green"),
    StatementAction.CHANGED: ("~", "yellow"),
    StatementAction.REMOVED: ("-", "red"),
}


def print_checks(checks: Sequence[Check]) -> None:
    """One line a check."""
    for check in checks:
        mark = ("✓", "green") if check.ok else ("✗", "bold red")
        _line("  ", mark, f" {check.name:<9} {check.found}")
        if not check.ok and check.hint:
            _line(" " * 14, (check.hint, "dim"))


def print_gates(gates: Sequence[Gate]) -> None:
    """One line a gate."""
    for gate in gates:
        mark = ("✓", "green") if gate.ok else ("✗", "bold red")
        _line("  ", mark, f" {gate.name:<9} {gate.found}")
        if not gate.ok:
            _line(" " * 14, (gate.hint, "dim"))


def print_plan(plan: Plan) -> None:
    """What is added, changed, replaced and removed; then code, parameters and permissions."""
    heading(plan.summary[0].upper() + plan.summary[1:])
    if not plan.changes_anything:
        return
    for change in plan.resources:
        _print_resource(change)
    if plan.code_changed or not plan.code_hashes[0]:
        before, after = plan.code_hashes
        heading("Code")
        _line(f"  {before or 'none'} → {after}")
    if plan.parameter_changes:
        heading("Parameters")
        for parameter in plan.parameter_changes:
            _line(f"  {parameter.name}: {_or_none(parameter.before)} → {_or_none(parameter.after)}")
    if plan.statements:
        heading("Who may do what")
        for statement in plan.statements:
            _print_statement(statement, first=plan.action is not Action.UPDATE)
    heading(_counted(plan.resources))


def print_cost(estimate: Estimate, budget: Budget) -> None:
    """The month's bill, line by line, and whether it is within the budget."""
    heading(f"Estimated cost of {estimate.images:,} new images a month: ${estimate.usd:,.2f}")
    for line in estimate.lines:
        _line(f"  ${line.usd:>9,.2f}  {line.what:<17}", (line.basis, "dim"))
    if budget.usd_per_month is not None and estimate.usd > budget.usd_per_month:
        _line(
            "  ",
            (f"That is over the budget of ${budget.usd_per_month:,.2f} in the environment file.", "bold red"),
        )


def print_smoke(smoke: Smoke) -> None:
    """The steps with their times, and what was seen if one failed."""
    steps = ", ".join(f"{name} {ms} ms" for name, ms in smoke.steps_ms.items())
    mark = ("✓", "green") if smoke.ok else ("✗", "bold red")
    _line("  ", mark, f" smoke test: {steps}")
    for name, found in smoke.seen.items():
        _line(f"    {name}:")
        for line in found if isinstance(found, list) else [str(found)]:
            _line(f"      {line}")


def heading(text: str) -> None:
    console.stdout.print(Text(text, style="bold"), soft_wrap=True)


def _print_resource(change: ResourceChange) -> None:
    mark = _MARKS[change.action]
    name = f" ({change.name.rsplit(':', 1)[-1]})" if change.name else ""
    _line("  ", mark, f" {change.logical_id}", (f" {change.type}{name}", "dim"), f"  {change.action}")
    for found in change.properties:
        forces = any(found.path.split(".")[0] == name for name in change.recreating)
        _line(f"      {found}", ("  forces the replacement" if forces else "", "red"))
    if change.endangers_data:
        fate = (
            "the old one stays, outside the stack"
            if change.kept
            else "the old one is DELETED with all it holds"
        )
        _line("      ", (fate, "bold red"))


def _print_statement(change: StatementChange, *, first: bool) -> None:
    mark = _STATEMENT_MARKS[change.action]
    wider = ("  (may do more than before)", "bold yellow") if change.widens and not first else ("", "")
    _line("  ", mark, f" {change.statement}", wider)
    for detail in change.details:
        _line(f"      {detail}")


def _counted(resources: Sequence[ResourceChange]) -> str:
    counts = [
        f"{sum(it.action is action for it in resources)} {action.value}"
        for action in ResourceAction
        if any(it.action is action for it in resources)
    ]
    return ", ".join(counts) or "no resource changes"


def _or_none(value: str | None) -> str:
    return "nothing" if value is None else value or '""'


def _line(*parts: str | tuple[str, str]) -> None:
    safe = [
        console.printable(part) if isinstance(part, str) else (console.printable(part[0]), part[1])
        for part in parts
    ]
    console.stdout.print(Text.assemble(*safe), soft_wrap=True)
