"""Where the integration suite differs between the engines: the one table of what does not run on LocalStack, and why.

Everything else runs unchanged on both. ``python -m tests.support.differences`` writes the table into docs/engines.md;
the suite prints a row for each test that it leaves out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from darkroom.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGIN, END = "<!-- differences: begin -->", "<!-- differences: end -->"
_PAGE = PROJECT_ROOT / "docs" / "engines.md"


@dataclass(frozen=True, slots=True)
class Difference:
    """Tests that say something of the embedded engine only.

    Attributes:
        what: what they are about.
        tests: `module.py::name`, with `*` for any text; parameters are left away.
        reason: what LocalStack community 4.14.0 does instead.
    """

    what: str
    tests: tuple[str, ...]
    reason: str

    def covers(self, test: str) -> bool:
        return any(fnmatchcase(test, pattern) for pattern in self.tests)


DIFFERENCES = (
    Difference(
        "the gateway and its guard",
        ("test_gateway.py::*", "test_guard_limits.py::*"),
        "the gateway stands in front of the embedded engine only; LocalStack takes any key and is reached directly",
    ),
    Difference(
        "uploads through the page",
        (
            "test_page_api.py::test_a_picture_is_uploaded_by_a_form_listed_found_and_shown",
            "test_page_api.py::test_an_image_is_analysed_again_when_somebody_asks",
            "test_page_api.py::test_what_the_form_does_not_allow_is_refused_by_s3_and_stores_nothing",
            "test_page_api.py::test_a_form_with_a_field_behind_its_file_is_refused",
        ),
        "serves the page, but the address of its upload form refuses the connection: a known gap, cause unknown",
    ),
    Difference(
        "what other origins may ask",
        (
            "test_page_api.py::test_other_pages_may_neither_change_nor_read_anything",
            "test_page_api.py::test_the_aws_endpoint_gives_foreign_pages_nothing_and_ours_presigned_urls_only",
        ),
        "has no gateway that refuses foreign origins",
    ),
    Difference(
        "your own plain Lambda by a preset",
        ("test_own_lambda.py::*",),
        "could run it, but `up` refuses it there for now: its libraries are packed for the embedded engine only",
    ),
    Difference(
        "permissions",
        (
            "test_least_privilege.py::*",
            "test_page_api.py::test_without_it_a_call_of_the_api_fails",
            "test_rekognition.py::test_a_user_may_call_only_the_operations_that_a_policy_allows",
            "test_operations.py::test_what_lambda_gave_up_is_listed_with_its_reason_and_a_redrive_tags_it",
            "test_operations.py::test_without_it_no_rescan",
            "test_operations.py::test_the_rescans_role_writes_nothing_of_the_index_but_its_own_place",
            "test_invoke.py::test_a_debugger_stops_in_the_handler_and_sees_its_variables",
        ),
        "enforces no policy, so that nothing can be refused by one, and gives functions the rights of root",
    ),
    Difference(
        "who may set faults",
        ("test_rekognition.py::test_faults_are_controlled_by_the_owner_of_the_environment_only",),
        "has no keys; the Rekognition beside it takes the control from whoever reaches 127.0.0.1",
    ),
    Difference(
        "hot reload that never shows broken code",
        ("test_reload.py::*",),
        "cannot start code beside what runs, and breaks off invocations when code changes; see tests/compose",
    ),
    Difference(
        "state over a restart",
        ("test_lifecycle.py::test_a_day_in_the_life", "test_recovery.py::*"),
        "keeps nothing, and consists of other parts; tests/compose has a day in its life and its restart",
    ),
    Difference(
        "rescan",
        (
            "test_operations.py::test_a_rescan_tags_what_has_no_record_and_nothing_else",
            "test_operations.py::test_a_scheduled_run_goes_through_the_whole_bucket_by_itself",
        ),
        "answers GetFunctionConfiguration of an alias with “not found”, by which a rescan learns the tagger's settings",
    ),
    Difference(
        "analysing an unchanged image again by hand",
        (
            "test_invoke.py::test_a_new_file_is_uploaded_and_analysed_and_its_own_event_does_not_disturb",
            "test_invoke.py::test_a_file_of_the_inbox_keeps_its_key",
        ),
        "gives every S3 event the same sequencer, so that the second analysis of the same bytes counts as a duplicate",
    ),
)


def difference_of(node_id: str) -> Difference | None:
    """The row that a test stands in; None for a test that runs on both.

    Args:
        node_id: pytest's, for example `tests/integration/test_gateway.py::test_it[a]`.
    """
    name = node_id.partition("[")[0].rpartition("/")[2]
    return next((row for row in DIFFERENCES if row.covers(name)), None)


def unused(node_ids: Iterable[str]) -> list[str]:
    """Patterns that no test matches: a row that outlived its tests."""
    names = {node_id.partition("[")[0].rpartition("/")[2] for node_id in node_ids}
    patterns = [pattern for row in DIFFERENCES for pattern in row.tests]
    return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]


def table() -> str:
    """The rows as Markdown."""
    lines = [
        "| what | LocalStack community 4.14.0 | tests that run on the embedded engine only |",
        "|--|--|--|",
    ]
    for row in DIFFERENCES:
        tests = ", ".join(f"`{name}`" for name in row.tests)
        lines.append(f"| {row.what} | {row.reason} | {tests} |")
    return "\n".join(lines)


def written_into(page: str) -> str:
    """A page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the table into the documentation."""
    _PAGE.write_text(written_into(_PAGE.read_text()))
    print(f"{_PAGE} has {len(DIFFERENCES)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
