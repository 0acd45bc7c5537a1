"""Makes each mistake of the catalogue in a copy of the operator, and fails where the simulation does not notice it.

python -m tests.mutants [WORDS OF A NAME]
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
SIMULATION = ROOT / "tests" / "simulation"
TEST_SECONDS = 300
NOTICED = re.compile(r"^E +(?:\S*\.)?((?:InvariantBroken|NotReached|AssertionError|assert)\b.*)$", re.MULTILINE)


def notice(mutant: Mutant) -> str:
    """What the simulation says to the mistake; empty where it does not notice. Raises ValueError where it is stale."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        sources = Path(folder) / "operator"
        shutil.copytree(ROOT / "operator", sources, ignore=shutil.ignore_patterns("__pycache__"))
        file = sources / "statefulrollout" / mutant.file
        text = file.read_text()
        if text.count(mutant.old) != 1:
            raise ValueError(f"{mutant.file} has {text.count(mutant.old)} places that read: {mutant.old}")
        file.write_text(text.replace(mutant.old, mutant.new))
        argv = [sys.executable, "-m", "pytest", f"{SIMULATION}/{mutant.test}", "-x", "-q", "-p", "no:cacheprovider",
                "-o", f"pythonpath={sources} {ROOT}", "--timeout", str(TEST_SECONDS)]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": f"{sources}{os.pathsep}{ROOT}"}
        ended = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    found = NOTICED.search(ended.stdout)
    if ended.returncode == 1 and found:
        return found[1]
    if ended.returncode == 0:
        return ""
    raise ValueError(f"the test did not run to its end:\n{ended.stdout[-3000:]}{ended.stderr[-1000:]}")


def main() -> int:
    """Returns 1 where a mistake went unnoticed, or could not be made."""
    words = " ".join(sys.argv[1:])
    chosen = [mutant for mutant in MUTANTS if words in mutant.name]
    survivors = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, outcome in zip(chosen, [pool.submit(notice, mutant) for mutant in chosen], strict=True):
            try:
                said = outcome.result()
            except ValueError as error:
                said, problem = "", str(error)
            else:
                problem = f"{mutant.test} did not notice it"
            survivors += not said
            print(f"{'noticed ' if said else 'SURVIVED'} {mutant.name}\n         {said[:150] or problem}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mistakes were noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
