"""What to look at after a scenario has failed, saved to build/e2e/<test>/<namespace>/ before its namespace goes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from e2e.harness.installation import ROOT, Installation
from e2e.harness.journal import EVENTS, PODS, Change
from e2e.harness.pods import Pod
from e2e.harness.shop import LOAD, Shop

FOLDER = ROOT / "build" / "e2e"
LOG_LINES = 400


def save_evidence(test: str, shop: Shop, installation: Installation) -> str:
    """Save everything; return the part that explains most failures, for the terminal."""
    folder = FOLDER / re.sub(r"[^A-Za-z0-9-]+", "_", test).strip("_") / shop.namespace
    folder.mkdir(parents=True, exist_ok=True)
    selection = ["-n", shop.namespace]
    pages = {
        "status.yaml": shop.kubectl.try_run(
            "get", "sro,statefulset,statefulrolloutledgers", "-o", "yaml", *selection
        ).out,
        "pods.yaml": shop.kubectl.try_run("get", "pods", "-o", "yaml", *selection).out,
        "events.txt": shop.kubectl.try_run("get", "events", "--sort-by=.metadata.creationTimestamp", *selection).out,
        "operator.log": installation.log(LOG_LINES),
        "history.txt": _history_of(shop),
        "load.json": _load_of(shop),
    }
    for name, text in pages.items():
        (folder / name).write_text(text)
    log = "\n".join(pages["operator.log"].splitlines()[-60:])
    return f"{shop.describe()}\n\n{pages['events.txt']}\n{log}\n\nmore in {_shown(folder)}"


def _history_of(shop: Shop) -> str:
    lines = []
    for change in shop.journal.history():
        lines.append(f"{change.at:.3f} {change.version} {change.type:8} {change.plural} {_brief(change)}")
    return "\n".join(lines)


def _brief(change: Change) -> str:
    if change.plural == EVENTS:
        return f"{change.item['involvedObject'].get('name')} {change.item['reason']}: {change.item['message']}"
    if change.plural == PODS:
        return change.name if change.name == LOAD else str(Pod(change.item))
    return json.dumps({"spec": change.item.get("spec"), "status": change.item.get("status")})


def _load_of(shop: Shop) -> str:
    try:
        return json.dumps({"stats": shop.clients.stats(), "timeline": shop.clients.timeline()}, indent=1)
    except (AssertionError, OSError) as error:
        return f"the load cannot be asked: {error}"


def _shown(folder: Path) -> Path:
    return folder.relative_to(ROOT)
