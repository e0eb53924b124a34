"""The wheel builds, holds what it needs at run time, and nothing that it does not."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_what_it_needs(tmp_path: Path) -> None:
    """Every module, the shipped data, the SQL, the licence and the type marker; no tests."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = archive.read(next(name for name in held if name.endswith("METADATA"))).decode()
    source = ROOT / "src"
    ours = [path for path in source.rglob("*") if path.suffix in (".py", ".toml", ".sql", ".typed")]
    assert {str(path.relative_to(source)) for path in ours} <= held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not [name for name in held if not name.startswith("bytedeck")]
    assert "License-Expression: Apache-2.0" in metadata
    extras = {line.split()[1] for line in metadata.splitlines() if line.startswith("Provides-Extra:")}
    assert extras == {"cli", "local", "server", "postgres", "valkey"}
