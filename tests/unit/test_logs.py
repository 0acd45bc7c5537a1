from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from statefulrollout import logs

PROGRAM = """
import logging, structlog
from statefulrollout.logs import configure_logging
configure_logging({format!r}, "info")
ours, theirs = structlog.stdlib.get_logger("ours"), logging.getLogger("theirs")
ours.info("moved a pod", pod="kvstore-3")
ours.debug("not wanted")
theirs.warning("from a %s", "library", extra={{"k8s_ref": "a whole object"}})
logging.getLogger("kopf.objects").info("passed on")
token = "".join(["hun", "ter2"])
try:
    raise ValueError("wrong")
except ValueError:
    ours.exception("failed")
"""


def printed(log_format: str) -> list[str]:
    """Logging is configured per process, so the lines come from one of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(format=log_format)],
        env={"PYTHONPATH": str(Path(logs.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert "hunter2" not in done.stderr
    return done.stderr.splitlines()


def test_json_is_one_object_a_line_for_ours_and_theirs() -> None:
    ours, theirs, failed = (json.loads(line) for line in printed("json"))
    assert (ours["message"], ours["pod"], ours["level"], ours["logger"]) == ("moved a pod", "kvstore-3", "info", "ours")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["message"], theirs["level"], theirs["logger"]) == ("from a library", "warning", "theirs")
    assert "k8s_ref" not in theirs
    assert failed["exception"][0]["exc_type"] == "ValueError"


def test_console_is_for_humans() -> None:
    lines = printed("console")
    assert "moved a pod" in lines[0]
    assert "pod=kvstore-3" in lines[0]
    assert "from a library" in lines[1]
    assert lines[-1] == "ValueError: wrong"
