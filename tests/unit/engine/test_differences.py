"""The table of what does not run on LocalStack, and its copy in the documentation."""

from __future__ import annotations

from darkroom.settings import PROJECT_ROOT
from tests.support.differences import DIFFERENCES, difference_of, written_into


def test_the_documentation_holds_the_table_as_it_is_in_code() -> None:
    page = (PROJECT_ROOT / "docs" / "engines.md").read_text()
    assert written_into(page) == page, "python -m tests.support.differences"


def test_a_test_with_parameters_is_found_by_its_name_and_others_run_on_both() -> None:
    assert (
        difference_of("tests/integration/test_gateway.py::test_root_like_keys_are_refused[a::b]")
        is DIFFERENCES[0]
    )
    assert difference_of("tests/integration/test_pipeline.py::test_a_folder_marker_is_ignored") is None
