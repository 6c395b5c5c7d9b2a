"""What the tests of deploy/kubernetes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kustomize import build
from manifests import WHOLE, name_of

if TYPE_CHECKING:
    from kustomize import Manifest


@pytest.fixture(params=WHOLE, ids=name_of)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """Return what one of the trees that can be applied builds."""
    return build(request.param)
