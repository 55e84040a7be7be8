from __future__ import annotations

import dataclasses

import pytest

from darkroom.errors import DeployError
from darkroom.stack.plan import Action, Deployed, ParameterChange, Wanted, make_plan

WANTED = Wanted("darkroom", "template", "code", {"MinConfidence": "75"})


def deployed(status: str = "CREATE_COMPLETE", of: Wanted = WANTED) -> Deployed:
    parameters = {**of.parameters, "CodeHash": of.code_hash, "Release": of.release}
    return Deployed(status, parameters, {})


def test_a_stack_that_is_not_there_is_created() -> None:
    assert make_plan(WANTED, None).action is Action.CREATE


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_the_same_release_changes_nothing(status: str) -> None:
    assert make_plan(WANTED, deployed(status)).action is Action.NOTHING


def test_a_parameter_is_named_with_both_values() -> None:
    wanted = dataclasses.replace(WANTED, parameters={"MinConfidence": "80"})
    plan = make_plan(wanted, deployed())
    assert plan.action is Action.UPDATE
    assert plan.parameter_changes == (ParameterChange("MinConfidence", "75", "80"),)
    assert plan.summary == "changed: MinConfidence 75 → 80"


def test_changed_code_is_told() -> None:
    plan = make_plan(dataclasses.replace(WANTED, code_hash="other"), deployed())
    assert (plan.action, plan.code_changed, plan.summary) == (Action.UPDATE, True, "changed: code")


@pytest.mark.parametrize("change", [{"template_hash": "other"}, {"tags": {"team": "x"}}])
def test_changed_template_or_tags_are_told(change: dict[str, object]) -> None:
    plan = make_plan(dataclasses.replace(WANTED, **change), deployed())  # type: ignore[arg-type]
    assert (plan.action, plan.summary) == (Action.UPDATE, "changed: template or tags")


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_a_stack_that_never_was_is_made_anew(status: str) -> None:
    assert make_plan(WANTED, deployed(status)).action is Action.RECREATE


def test_a_stack_in_review_is_created() -> None:
    assert make_plan(WANTED, deployed("REVIEW_IN_PROGRESS")).action is Action.CREATE


def test_a_stack_that_only_adopted_leftovers_is_updated() -> None:
    assert make_plan(WANTED, Deployed("IMPORT_COMPLETE", {}, {})).action is Action.UPDATE


def test_a_change_that_is_under_way_is_not_disturbed() -> None:
    with pytest.raises(DeployError, match="UPDATE_IN_PROGRESS"):
        make_plan(WANTED, deployed("UPDATE_IN_PROGRESS"))


def test_a_stack_that_needs_a_person_says_so() -> None:
    with pytest.raises(DeployError, match="UPDATE_ROLLBACK_FAILED"):
        make_plan(WANTED, deployed("UPDATE_ROLLBACK_FAILED"))


def test_the_release_does_not_depend_on_the_order_of_parameters() -> None:
    one = dataclasses.replace(WANTED, parameters={"a": "1", "b": "2"})
    two = dataclasses.replace(WANTED, parameters={"b": "2", "a": "1"})
    assert one.release == two.release != WANTED.release
