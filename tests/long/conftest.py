"""The long tests use the integration suite's environment."""

from tests.integration.conftest import running

__all__ = ["running"]
