"""What debates are held on in these tests: a simulator, and a hub of either face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bytedeck.simulator import Simulator
from faces import FACES
from rings import Ring


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


@pytest.fixture
def sim(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture(params=FACES)
def ring(request: pytest.FixtureRequest, sim: Simulator, tmp_path: Path) -> Iterator[Ring]:
    made = Ring(request.param, sim, tmp_path)
    yield made
    made.close()


@pytest.fixture
def aring(sim: Simulator, tmp_path: Path) -> Iterator[Ring]:
    made = Ring("async", sim, tmp_path)
    yield made
    made.close()
