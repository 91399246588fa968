"""What 10⁴ associations and 10⁵ TCP health checks do to the memory of `sifnode serve`.

    python benchmarks/soak.py --associations 10000 --checks 100000

prints one line of JSON: resident memory (MB) of the node after each tenth, and its threads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.soaking import soak  # noqa: E402  # of the repository, once it can be found


def main() -> None:
    """Start a node, soak it, print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--associations", type=int, default=10_000)
    parser.add_argument("--checks", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        settings = {
            "SIFNODE_STORAGE_FOLDER": folder,
            "SIFNODE_DICOM_PORT": "0",
            "SIFNODE_HTTP_PORT": "0",
            "SIFNODE_STUDY_QUIET_SECONDS": "86400",
            "SIFNODE_STUDY_MAX_WAIT_SECONDS": "86400",
            "PYTHONPATH": str(ROOT),
        }
        node = subprocess.Popen(
            [sys.executable, "-m", "dicom_node.cli", "serve"],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert node.stdout is not None
            port = json.loads(node.stdout.readline())["port"]
            done = soak(port, node.pid, associations=options.associations, checks=options.checks)
            print(json.dumps(asdict(done)))
        finally:
            node.terminate()
            node.wait()


if __name__ == "__main__":
    main()
