"""Cached machine code that is older than a source it was compiled from is dropped."""

import os

from spherepde.compiled import drop_stale


def test_stale_machine_code_is_dropped(tmp_path):
    """A cached function goes when any source is newer than it, and only then."""
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name in ("inner", "outer", "other"):
        (tmp_path / f"{name}.py").write_text("")
        os.utime(tmp_path / f"{name}.py", (1000.0, 1000.0))
        (cache / f"{name}.f-1.py311.nbi").write_text("")
        os.utime(cache / f"{name}.f-1.py311.nbi", (2000.0, 2000.0))
    drop_stale(str(tmp_path / "inner.py"), "inner", "outer")
    assert len(list(cache.iterdir())) == 3
    os.utime(tmp_path / "inner.py", (3000.0, 3000.0))
    drop_stale(str(tmp_path / "inner.py"), "inner", "outer")
    assert [left.name for left in cache.iterdir()] == ["other.f-1.py311.nbi"]
