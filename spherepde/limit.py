r"""The measure Π♯ρ₀ to which attention with fixed matrices concentrates, and the theorem that says so, or does not.

For symmetric :math:`A=VB^\top` the zero-temperature flow carries every point to :math:`\Pi(x)=P_Ex/|P_Ex|`, E the
dominant eigenspace, and keeps the image Π♯ρ while it goes: :math:`\Pi_\#\rho_t=\Pi_\#\rho_0` (arXiv 2605.10931).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError
from .heads import DominantEigenspace, Head
from .transport.circle_series import checked_coefficients
from .transport.measures import checked_numbers
from .transport.projection import project_by, project_to_axis

Array = NDArray[np.float64]
Modal = NDArray[np.complex128]
Kind = Literal["atoms", "circle", "identity"]

NEARLY_DEGENERATE = 1e-3
"""A gap below this fraction of |A| is reported as nearly degenerate."""
SEMISIMPLE_TOLERANCE = 1e-6
"""A acts on E as a number if what differs is this small a fraction of |A|."""


@dataclass(frozen=True, kw_only=True, repr=False)
class LimitMeasure:
    r"""The image of an initial density under the limit map of the zero-temperature flow.

    ``kind`` "atoms" (E a line: ``points`` (2, d), ``weights`` (2,)), "circle" (E a plane in R³: ``coefficients``
    (K+1,), :math:`c_k=\int f e^{-ik\varphi}d\varphi`, φ from the first to the second column of ``basis`` (3, 2)) or
    "identity" (E everything: the density itself). ``target`` is E; ``error`` estimates the error of a weight or of a
    coefficient; ``known`` whether this is the limit of the zero-temperature flow; ``theorem`` says why, or why not.
    """

    kind: Kind
    target: DominantEigenspace
    known: bool
    theorem: str
    error: float = 0.0
    points: Array | None = None
    weights: Array | None = None
    coefficients: Modal | None = None
    basis: Array | None = None

    def __repr__(self) -> str:
        if self.points is not None and self.weights is not None:
            axis = np.array2string(self.points[0], precision=6, suppress_small=True)
            story = f"masses {self.weights[0]:.10g} and {self.weights[1]:.10g} at ±{axis}, to {self.error:.1e}"
        elif self.coefficients is not None:
            mass, degree = self.coefficients[0].real, self.coefficients.size - 1
            story = f"density of mass {mass:.10g} on a great circle, degree {degree}, to {self.error:.1e}"
        else:
            story = "the initial density itself"
        return f"LimitMeasure({self.kind}: {story}; {self.theorem})"


def limit_measure(head: Head | ArrayLike, density: Callable[[Array], Array] | ArrayLike) -> LimitMeasure:
    r"""The limit Π♯ρ₀ for one head, or for its matrix :math:`A=VB^\top` (d, d), d = 2 or 3.

    ``density`` is callable at unit vectors (n, d), or coefficients: harmonic on S², Fourier on S¹.

    For a matrix that is not symmetric, E belongs to the largest real part (arXiv 2509.25040, Prop. 3.4). Where A acts
    on E as a real number, the zero-temperature flow still has a limit, :math:`Sx/|Sx|` with S the spectral projector,
    oblique; otherwise it turns, or creeps, within E and the orthogonal projection is returned, ``known`` False.
    Raises InputError for other dimensions, matrices that are not finite, densities without positive mass.
    """
    A = head.A if isinstance(head, Head) else checked_numbers(head, "entries of A", "(d, d)")
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape[0] not in (2, 3) or not np.isfinite(A).all():
        raise InputError(f"limit measure: A has shape {A.shape}; expected a finite (2, 2) or (3, 3) matrix V B^T")
    E = DominantEigenspace(A)
    onto, known, why = _limit_map(A, E)
    if E.dim == A.shape[0]:
        if not callable(density):
            checked_coefficients(density, "density")
        return LimitMeasure(kind="identity", target=E, known=known, theorem=why)
    if E.dim == 1:
        sign = float(np.sign(onto[0] @ E.axis))
        atoms = project_to_axis(density, E.axis, sign * onto[0])
        points, weights = atoms.points, atoms.weights
        return LimitMeasure(
            kind="atoms", target=E, known=known, theorem=why, error=atoms.error, points=points, weights=weights
        )
    ring = project_by(density, onto, E.basis)
    return LimitMeasure(
        kind="circle",
        target=E,
        known=known,
        theorem=why,
        error=ring.error,
        coefficients=ring.coefficients,
        basis=ring.basis,
    )


def _limit_map(A: Array, E: DominantEigenspace) -> tuple[Array, bool, str]:
    """Rows (k, d) giving the coordinates in E of the limit; whether it is one; the sentence that says so."""
    near = _near(A, E)
    straight: Array = np.array(E.basis.T)
    if E.symmetric:
        if E.dim == len(A):
            return straight, True, "A is a multiple of the identity: zero-temperature attention moves nothing"
        return straight, True, f"A symmetric, gap {E.gap:.6g}: the theorem of arXiv 2605.10931 applies{near}"
    size = float(np.linalg.norm(A, 2))
    within = straight @ A @ E.basis
    opening = "A not symmetric: the theorem of arXiv 2605.10931 does not apply; E"
    opening += ", the generalised eigenspace of the largest real part (arXiv 2509.25040, Prop. 3.4),"
    if np.abs(within - np.trace(within) / E.dim * np.eye(E.dim)).max() <= SEMISIMPLE_TOLERANCE * size:
        if E.dim == len(A):
            return straight, True, f"{opening} is everything, and A there a number: nothing moves"
        left = DominantEigenspace(A.T).basis.T
        onto: Array = np.asarray(np.linalg.solve(left @ E.basis, left), dtype=np.float64)
        oblique = f"has one real eigenvalue, so that points go to its spectral (oblique) projection{near}"
        return onto, True, f"{opening} {oblique}"
    spread = float(np.abs(np.linalg.eigvals(within).imag).max())
    if spread > SEMISIMPLE_TOLERANCE * size:
        motion = f"carries a complex pair, {spread:.3g}i: tokens rotate in E for ever (Remark 3.6), no limit measure"
    else:
        motion = "carries a Jordan block: tokens creep on to its eigenvector, which is no projection onto E"
    held = "nothing is projected" if E.dim == len(A) else "the orthogonal projection stands in"
    return straight, False, f"{opening} {motion}; {held}{near}"


def _near(A: Array, E: DominantEigenspace) -> str:
    """What to add when the gap is tiny: the larger eigenspace that rules until the gap has acted."""
    size = float(np.linalg.norm(A, 2))
    if not E.gap < NEARLY_DEGENERATE * size:
        return ""
    wider = DominantEigenspace(A, tolerance=2.0 * E.gap / max(float(np.abs(A).max()), 1e-300))
    return (
        f", but nearly degenerate, gap/|A| = {E.gap / size:.1e}: concentration on E takes times well beyond "
        f"1/gap = {1.0 / E.gap:.3g}, and until then E with the next eigenvalue, of dimension {wider.dim}, rules"
    )
