"""Files: the run file that xarray opens, its reader, the checkpoint and the provenance record."""

from ..errors import StorageError
from .checkpoint import checkpoint_path, load_checkpoint, save_checkpoint
from .layout import FORMAT, FORMAT_VERSION, SeriesSpec
from .provenance import provenance
from .reader import RunFile, VelocityRecord
from .writer import RunWriter

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "RunFile",
    "RunWriter",
    "SeriesSpec",
    "StorageError",
    "VelocityRecord",
    "checkpoint_path",
    "load_checkpoint",
    "provenance",
    "save_checkpoint",
]
