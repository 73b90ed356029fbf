"""Reference runs that travel with the code: moments, velocity, error bars, provenance and checksums, by name."""

from .loader import Reference, read_reference, reference, reference_meant, references, run_or_reference
from .writer import write_reference

__all__ = [
    "Reference",
    "read_reference",
    "reference",
    "reference_meant",
    "references",
    "run_or_reference",
    "write_reference",
]
