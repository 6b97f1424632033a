"""The harness and fixtures of Tests/Integration, for tests with foreign software."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Integration"))

from fixtures import (  # noqa: F401
    mesh,
    nodes,
    ports,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_makereport,
    recorders,
)
