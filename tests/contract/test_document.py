"""docs/engines.md names tests, limits and permissions; all of them are as it says."""

from __future__ import annotations

import ast
import re

from darkroom.engine.gateway.limits import Limits
from darkroom.settings import PROJECT_ROOT
from tests.support.permissions import DOCUMENT, written_into

TEXT = DOCUMENT.read_text()


def names_of_all_tests() -> set[str]:
    return {
        node.name
        for path in (PROJECT_ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 40
    assert named - names_of_all_tests() == set()


def test_every_contract_is_in_the_document_or_needs_no_mention() -> None:
    plain = {"test_document.py", "test_http.py"}
    contracts = {
        node.name
        for path in (PROJECT_ROOT / "tests" / "contract").glob("test_*.py")
        if path.name not in plain
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    unmentioned = {name for name in contracts if name not in TEXT}
    assert unmentioned <= {
        "test_an_unsigned_request_is_refused",
        "test_another_configured_key_is_none",
        "test_objects_are_files_with_their_bytes",
        "test_simulating_a_principals_policy_says_allowed_or_implicitly_denied",
        "test_the_codes_location_serves_the_package_on_the_socket",
        "test_the_first_of_two_credentials_in_a_header_counts_so_the_guard_takes_exactly_one",
        "test_a_root_like_key_in_the_query_opens_every_service_so_the_guard_lets_only_s3_presign",
    }


def test_the_table_of_permissions_is_the_one_that_the_tests_use() -> None:
    assert written_into(TEXT) == TEXT, "run: python -m tests.support.permissions"


def test_the_limits_are_those_of_the_gateway() -> None:
    limits = Limits()
    for size, text in (
        (limits.line_bytes, "16 KiB"),
        (limits.read_bytes, "16 MiB"),
        (limits.call_bytes, "256 MiB"),
        (limits.upload_bytes, "5 GiB"),
    ):
        number, unit = text.split()
        assert size == int(number) * 1024 ** {"KiB": 1, "MiB": 2, "GiB": 3}[unit]
        assert f"| {text}" in TEXT
    for value in (limits.headers, limits.connections):
        assert f"| {value} |" in TEXT
    for seconds in (limits.header_s, limits.body_s):
        assert f"| {seconds:g} s |" in TEXT
