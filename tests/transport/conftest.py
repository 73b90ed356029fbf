"""The transport tests report their numbers as the physics tests do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "physics"))
