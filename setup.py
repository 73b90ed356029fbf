"""Packaging of spherepde; tool settings live in pyproject.toml."""

from pathlib import Path
from shutil import copy2

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent


class BuildWithReferences(build_py):
    """Puts the reference runs, which lie in data/ of the source tree, into the installed package."""

    def run(self) -> None:
        """Build the package, then copy; an editable install reads them where they are."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "spherepde", "reference_runs")
            target.mkdir(parents=True, exist_ok=True)
            for path in sorted((ROOT / "data" / "references").glob("*.h5")):
                copy2(path, target)


class SourceWithReferences(sdist):
    """Puts the reference runs into source archives, from which the package is built as from a checkout."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """The tree of the archive, with data/references."""
        references = sorted((ROOT / "data" / "references").iterdir())
        super().make_release_tree(base_dir, [*files, *(str(path.relative_to(ROOT)) for path in references)])


setup(
    name="spherepde",
    version="0.1.0",
    description="Reference solver for mean-field transformers: the continuity equation of attention on spheres",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    python_requires=">=3.11",
    cmdclass={"build_py": BuildWithReferences, "sdist": SourceWithReferences},
    packages=find_packages(include=["spherepde", "spherepde.*"]),
    package_data={"spherepde": ["py.typed"]},
    install_requires=[
        "numpy>=1.26",
        "scipy>=1.17",
        "ducc0>=0.39",
        "pyfftw>=0.15",
        "numba>=0.59",
        "h5py>=3.10",
        "h5netcdf>=1.3",
        "xarray>=2024.10",
        "matplotlib>=3.8",
        "pydantic>=2.6",
        "typer>=0.12",
        "rich>=13",
        "threadpoolctl>=3.1",
        "POT>=0.9.7",
    ],
    extras_require={
        "shtns": ["shtns>=3.7.5"],
        "test": ["pytest>=8", "pytest-xdist>=3.5", "mpmath>=1.3", "ruff>=0.6", "mypy>=1.11", "import-linter>=2.1"],
    },
    entry_points={"console_scripts": ["spherepde = spherepde.cli:main"]},
)
