"""Lets failing assertions of the shipped suites show their values, as those of test files do."""

import pytest

pytest.register_assert_rewrite("interlock.testing.contracts")
