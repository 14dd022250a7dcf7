"""The default namespace is for the tenants that are listed, and any other one for everybody."""

from __future__ import annotations

import pytest

from interlock.base.errors import Refused
from interlock.gates.control.namespaces import NamespaceSettings, check_namespace

LISTED = NamespaceSettings(allow_default=True, default_tenants=(7,))


@pytest.mark.parametrize(
    ("settings", "tenant_id", "namespace_id"),
    [(NamespaceSettings(), 1, 2), (NamespaceSettings(), None, 2**64 - 1), (LISTED, 7, 1)],
)
def test_a_namespace_that_may_be_used(settings: NamespaceSettings, tenant_id: int | None, namespace_id: int) -> None:
    check_namespace(settings, tenant_id, namespace_id)


@pytest.mark.parametrize(
    ("settings", "tenant_id"),
    [
        (NamespaceSettings(), 1),
        (NamespaceSettings(default_tenants=(1,)), 1),
        (NamespaceSettings(allow_default=True), 1),
        (LISTED, 8),
        (LISTED, None),
    ],
)
def test_the_default_namespace_is_refused_to_everybody_else(settings: NamespaceSettings, tenant_id: int | None) -> None:
    with pytest.raises(Refused) as refused:
        check_namespace(settings, tenant_id, 1)
    assert refused.value.code == "namespace_denied"
