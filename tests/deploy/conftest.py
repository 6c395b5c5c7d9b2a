"""What the tests of deploy/kubernetes and deploy/helm share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from charts import as_base
from kustomize import build
from manifests import WHOLE, name_of

if TYPE_CHECKING:
    from kustomize import Manifest


@pytest.fixture(params=[*WHOLE, None], ids=lambda folder: name_of(folder) if folder else "helm")
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """Return what one of the trees that can be applied builds; or the chart, with the base's values."""
    return build(request.param) if request.param else as_base()
