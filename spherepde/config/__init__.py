"""Configuration of a run: TOML files, dicts, and the command line of the solver scripts."""

from .command_line import script_parameters
from .reading import load_config, parse_config
from .tables import RunConfig

__all__ = ["RunConfig", "load_config", "parse_config", "script_parameters"]
