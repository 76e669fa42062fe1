r"""Complex tangents of cells with viscoelastic phases, by the correspondence principle.

In harmonic motion a viscoelastic phase has a complex tangent, and the cell is that of an elastic composite
(Hashin, AIAA J. 8 (1970), 1411–1417):

.. math:: K(\omega) = K + \sum_p \int_{Y_p} \nabla v\cdot\Delta_p(\omega)\,\nabla u\,\mathrm{d}x,

with the stiffness K of a sudden gradient, and what of the tangent of phase p has relaxed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
import ufl
from dolfinx import fem

from fe2.arrays import Array, Complex
from fe2.errors import MicroSolveError
from fe2.jit import compile_form
from fe2.micro.form import PhaseFlux, partial
from fe2.physics.law import PhaseLaw

if TYPE_CHECKING:
    from fe2.micro.rve import RVE


def factorized(matrix: Any) -> Any:
    """Right-hand sides ↦ solutions of a sparse system, real or complex.

    Raises:
        MicroSolveError: The matrix is singular.
    """
    try:
        return scipy.sparse.linalg.splu(matrix.tocsc()).solve
    except RuntimeError as error:
        raise MicroSolveError(f"the cell is singular: {error}") from error


def relaxes(law: object) -> bool:
    """Whether the tangent of a law depends on the frequency."""
    return isinstance(law, PhaseLaw) and any(m.relaxed_tangent(1.0, 4) is not None for m in law.materials)


def relaxing_tangents(rve: RVE, frequencies: Array, phases: Sequence[str]) -> Complex:
    """Complex tangents of a cell with viscoelastic phases, shape (n, m, m).

    Args:
        rve: The cell, of gradients alone.
        frequencies: Cycles in a unit of time, shape (n,).
        phases: The viscoelastic ones.

    Raises:
        MicroSolveError: The cell is singular at a frequency.
    """
    terms = [_Relaxing(rve, term) for term in rve.form.fluxes if term.phase in phases]
    boundary, X, volume = rve.problem.boundary, rve.form.modes, rve.cell.volume
    _assemble_virgin(rve)
    K, T, C = rve.problem.local_stiffness.tocsr().copy(), boundary.matrix, sp.csr_matrix(boundary.constraints)
    found = []
    for frequency in frequencies.tolist():
        at = K + sum(term.matrix(frequency) for term in terms)
        forces = T.T @ (at @ X)
        system = sp.bmat([[T.T @ at @ T, C.T], [C, None]])
        right = np.vstack([forces, np.zeros((C.shape[0], forces.shape[1]))])
        way = factorized(system)(-right.astype(complex))[: len(forces)]
        found.append(X.T @ (at @ (X + T @ way)) / volume)
    return np.array(found)


def _assemble_virgin(rve: RVE) -> None:
    problem, state = rve.problem, rve.initial_state()
    problem.load(state, 0.0)
    problem.set_field(rve.kinematics.origin, state[rve.state.fluctuation])
    problem.assemble_residual()
    problem.assemble_stiffness()


class _Relaxing:
    """What of the stiffness of a phase has relaxed."""

    def __init__(self, rve: RVE, term: PhaseFlux) -> None:
        form, cell, k = rve.form, rve.cell, term.gradient.ufl_shape[0]
        law: Any = form.laws[term.phase]
        self._materials, self._size = law.materials, k
        self._rows = np.zeros(len(cell.phases.values), np.int64) if term.rows is None else term.rows
        space = form.unknown.function_space
        test, trial = (
            partial(term.gradient, form.unknown, f(space)) for f in (ufl.TestFunction, ufl.TrialFunction)
        )
        self._change = fem.Function(fem.functionspace(cell.mesh, ("DG", 0, (k, k))))
        metadata = {"quadrature_degree": form.quadrature_degree, "quadrature_rule": "default"}
        measure = ufl.Measure("dx", domain=cell.mesh, subdomain_data=cell.phases, metadata=metadata)
        work = ufl.dot(test, ufl.dot(self._change, trial)) * measure(cell.names.index(term.phase))
        self._form = compile_form(work, cell.mesh.comm)
        self._matrix = fem.create_matrix(self._form)
        self._places = self._change.function_space.dofmap.list[:, 0]

    def matrix(self, frequency: float) -> sp.csr_matrix:
        """Over all degrees of freedom, at a frequency."""
        none = np.zeros((self._size, self._size))
        found = [m.relaxed_tangent(frequency, self._size) for m in self._materials]
        changes = np.array([none if change is None else change for change in found])[self._rows]
        return self._assembled(changes.real) + 1j * self._assembled(changes.imag)

    def _assembled(self, changes: Array) -> sp.csr_matrix:
        values = self._change.x.array.reshape(len(changes), -1)
        values[self._places] = changes.reshape(len(changes), -1)
        self._matrix.set_value(0.0)
        fem.assemble_matrix(self._matrix, self._form)
        return self._matrix.to_scipy().tocsr().copy()
