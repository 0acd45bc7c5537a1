"""What is known of a StatefulSet and what belongs to it: as it was last read or written, and as watches have shown it.

Nobody is chosen to go by it: it spares reading again, while pods move, what nobody has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from statefulrollout.core.ledger import Ledger
from statefulrollout.core.snapshot import PodView, StatefulSetView
from statefulrollout.kube import views
from statefulrollout.kube.client import Json, Kube, newest


@dataclass(frozen=True)
class Heard:
    """What watches have shown of a StatefulSet, of those that roll it, and of its pods under the lid.

    Attributes:
        rollouts: the StatefulRollouts that name it and that nobody has deleted, each as it was last shown.
        stateful_set: as it was last shown; None where it was not, or is gone.
        version: of the last change of any pod, whosever it is; empty before one was heard of.
        pods: the version of each that is there, by name.
        news: some of them as they were shown, by name; of each the latest.
    """

    rollouts: Sequence[Json] = ()
    stateful_set: Json | None = None
    version: str = ""
    pods: Mapping[str, str] = field(default_factory=dict)
    news: Mapping[str, Json] = field(default_factory=dict)


@dataclass
class Known:
    """What was last read of a StatefulSet, or written.

    Attributes:
        rollout: the StatefulRollout, where it stands alone.
        stateful_set: the StatefulSet.
        ledger: its ledger, which nobody else writes: no watch shows it.
        target: the StatefulSet whose pods were read; None before any were.
        pods: by name, unless they are at rest: looked at seldom, thousands of them would fill the memory.
        version: nothing that is older may be read of them any more. Empty where of everything only the latest will do.
        listed: the version of the last list of all of them.
    """

    rollout: Json | None = None
    stateful_set: Json | None = None
    ledger: Ledger | None = None
    target: StatefulSetView | None = None
    pods: Mapping[str, PodView] = field(default_factory=dict)
    version: str = ""
    listed: str = ""

    @property
    def holds(self) -> bool:
        """Whether it may be built upon: pods move, and what was done last met all as it was taken for."""
        return bool(self.version and self.pods)

    def is_of(self, target: StatefulSetView) -> bool:
        """Whether its pods are those of this StatefulSet."""
        return self.target is not None and _pods_of(self.target) == _pods_of(target)


def _pods_of(target: StatefulSetView) -> tuple[str, str, range]:
    return target.uid, views.selector_of(target.selector), target.ordinals


async def latest_of(kube: Kube, path: str, known: Json | None, shown: Json | None) -> Json:
    """One object, as it was last read, written or shown, whichever is later; where it was not both, as it is now.

    Raises what every read raises, NotFound above all.
    """
    if known and shown and known["metadata"]["uid"] == shown["metadata"]["uid"]:
        versions = [each["metadata"]["resourceVersion"] for each in (known, shown)]
        if latest := newest(*versions):
            return (known, shown)[versions.index(latest)]
    return await kube.call("GET", path)
