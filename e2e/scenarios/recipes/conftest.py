"""Trials of recipes, each in a namespace of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from e2e.harness.api import Api
from e2e.harness.installation import Installation
from e2e.harness.journal import Journal
from e2e.harness.kubectl import Kubectl
from e2e.harness.namespaces import Namespaces
from e2e.recipes.trial import Recipe, Trial

OpenTrial = Callable[..., Trial]


@pytest.fixture
def open_trial(
    kubectl: Kubectl, api: Api, installation: Installation, namespaces: Namespaces, request: pytest.FixtureRequest
) -> Iterator[OpenTrial]:
    """Open a trial of a recipe: `open_trial(recipe, rolled=False)` for Kubernetes alone."""
    del installation  # needed, and not asked
    with ExitStack() as stack:

        def open_one(recipe: Recipe, *, rolled: bool = True) -> Trial:
            namespace = namespaces.create(request.node.originalname)
            stack.callback(namespaces.delete, namespace)
            trial = Trial(
                kubectl, api, stack.enter_context(Journal(api, namespace)), recipe, rolled, request.node.originalname
            )
            trial.open()
            return trial

        yield open_one
