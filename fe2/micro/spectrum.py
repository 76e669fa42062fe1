r"""Frequency response of a cell in which a scalar evens out: heat between phases, a fluid between layers.

Elsewhere the scalar :math:`\varphi` of a macroscopic point (a temperature, a pressure) is uniform in a cell
for what is stored and for the stress. Here it is a field, which diffuses within the cell. In harmonic motion,
:math:`e^{i\omega t}`, linearized at the virgin state,

.. math::

    \int_Y \sigma(\varepsilon(u), \varphi):\varepsilon(v)\,\mathrm{d}x = 0, \qquad
    \int_Y i\omega\,\eta(\varepsilon(u), \varphi)\,q + j(\nabla\varphi)\cdot\nabla q\,\mathrm{d}x
    = i\omega\,\zeta \int_Y q\,\mathrm{d}x,

with u of the macroscopic strain, :math:`\varphi` periodic, and a content ζ that is supplied uniformly. With
the unknowns of both fields this is :math:`(K + i\omega C)\,w = -(F_K + i\omega F_C)\,g + i\omega\,b\,\zeta`.
The displacement follows :math:`\varphi` at once; eliminated, it leaves

.. math:: (H + i\omega M)\,\varphi = -i\omega\,(L g - b\,\zeta),
    \qquad M = C_{\varphi\varphi} - C_{\varphi u} K_{uu}^{-1} K_{u\varphi}.

H and M are real and symmetric. Their common eigenvectors, :math:`H v = \lambda M v`, are the modes in which
the scalar evens out, :math:`1/\lambda` their relaxation times, and the response to all frequencies is a sum
over them (the diffusive part of Biot, J. Appl. Phys. 27 (1956), 240–253).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg
import ufl
from dolfinx import fem

from fe2.arrays import Array, Complex, Ints
from fe2.errors import Fe2Warning, InputError
from fe2.jit import compile_form
from fe2.micro.boundary import boundary_map
from fe2.micro.relaxing_phases import factorized, relaxes, relaxing_tangents
from fe2.physics.kinematics import Block, Kinematics

if TYPE_CHECKING:
    from fe2.micro.form import CellForm
    from fe2.micro.rve import RVE

MOST_MODES = 1500
"""Unknowns of the scalar up to which all modes are computed; with more each frequency is factorized."""

_VISIBLE = 1e-4
"""Part of the tangent that a mode has to change to be told."""

_MATTERS = 0.01
"""Part of the tangent from which on a mode is worth a warning."""

_AT_ONCE = 0.1
"""Phase ωτ up to which a mode has evened out."""

_ROUND_OFF = 1e-12
"""Attenuation that is none."""

_STEADY = 1e-13
"""Rate of a mode, relative to the mean of all, that is the round-off of one that never evens out."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""Complex tangents of a cell.

    Attributes:
        kinematics: The blocks.
        frequency: Frequencies :math:`\omega/2\pi`, shape (n,).
        tangent: A(ω) in internal components, shape (n, m, m).
        held: Whether the mean of the scalar is prescribed; where not, nothing enters or leaves the cell, and
            rows and columns of the value are zero.
        relaxation_times: Times in which the scalar evens out in a closed cell, from the longest on, each with
            what it changes of the tangent, relative to that at the highest frequencies; nothing where modes
            were not computed.
    """

    kinematics: Kinematics
    frequency: Array
    tangent: Complex
    held: bool
    relaxation_times: tuple[tuple[float, float], ...] = ()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks between which there is a tangent."""
        return tuple(b for b in self.kinematics.blocks if self.held or b.kind != "value")

    @cached_property
    def effective(self) -> Complex:
        """A(ω) between reported components, shape (n, m, m)."""
        return np.array([self.kinematics.reported_tangent(A) for A in self.tangent])

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON: an entry for each frequency, complex numbers as pairs."""
        pairs = np.stack([self.effective.real, self.effective.imag], axis=-1)
        names = self.kinematics.components
        several = len(self.kinematics.blocks) > 1
        losses = self.attenuation
        return {
            "components": {b.name: b.components for b in self.blocks} if several else names,
            "frequency": self.frequency,
            "effective": [self._by_block(A) for A in pairs] if several else pairs,
            "attenuation": [self._by_dual(row) for row in losses] if several else losses,
            "held": self.held,
            "relaxation_times": self.relaxation_times,
            "peaks": [
                (name, self.frequency[k], losses[k, j])
                for j, (name, k) in enumerate(zip(names, np.argmax(losses, axis=0), strict=True))
                if losses[k, j] > 0.0
            ],
        }

    def _by_block(self, A: Array) -> dict[str, dict[str, Array]]:
        """Parts of a tangent of shape (m, m, 2) by dual and block."""
        found, names = self.kinematics.by_block(A), [block.name for block in self.blocks]
        return {block.dual: {name: found[block.dual][name] for name in names} for block in self.blocks}

    def _by_dual(self, row: Array) -> dict[str, Array]:
        return {block.dual: row[self.kinematics.slices[block.name]] for block in self.blocks}

    @property
    def attenuation(self) -> Array:
        """1/Q, imaginary over real part of the diagonal, shape (n, m); zero where that is round-off."""
        diagonal = np.diagonal(self.tangent, axis1=1, axis2=2)
        loses = np.abs(diagonal.imag) > _ROUND_OFF * np.abs(diagonal.real)
        found: Array = np.where(loses, diagonal.imag, 0.0) / np.where(loses, diagonal.real, 1.0)
        return found


def spectrum(rve: RVE, frequency: npt.ArrayLike, *, held: bool = False) -> Spectrum:
    """Complex tangents of a cell in harmonic motion; see :meth:`fe2.RVE.spectrum`."""
    frequencies = np.atleast_1d(np.asarray(frequency, dtype=np.float64))
    if not (frequencies.size and np.all(np.isfinite(frequencies)) and np.all(frequencies > 0.0)):
        raise InputError(f"frequency = {frequencies.tolist()}: frequencies must be positive")
    steady = rve.virgin_tangent()
    phases = _relaxing_phases(rve.form)
    if not rve.form.values:
        constant = np.tile(steady.astype(complex), (len(frequencies), 1, 1))
        found = relaxing_tangents(rve, frequencies, phases) if phases else constant
        return Spectrum(rve.kinematics, frequencies, found, held)
    if phases:
        raise InputError(
            f"phase {phases[0]!r} is viscoelastic: a spectrum has that in cells of gradients alone, not "
            "beside a scalar that evens out"
        )
    cell = _UnsteadyCell(rve)
    held = held or not cell.moved.size
    tangent = np.tile(steady.astype(complex), (len(frequencies), 1, 1))
    value = cell.value
    tangent[:, value, :] = tangent[:, :, value] = 0.0
    if not cell.stores:
        return Spectrum(rve.kinematics, frequencies, tangent, held)
    rate = 2.0j * np.pi * frequencies
    respond, times = cell.by_modes() if cell.has_modes else (cell.by_factorization, ())
    for A, found in zip(tangent, map(respond, rate), strict=True):
        _insert(A, found, cell.moved, value, held)
    return Spectrum(rve.kinematics, frequencies, tangent, held, times)


def warn_of_relaxation(rve: RVE, period: float) -> None:
    """Warn where a load meets relaxation times of a scalar within the cell, which cells elsewhere leave out.

    Args:
        rve: The cell.
        period: Period of the load, or the time in which it changes.

    Warns:
        Fe2Warning: A mode that changes the tangent by a hundredth does not even out in this time.
    """
    form = rve.form
    if len(form.values) != 1 or not _is_one_field(form) or _relaxing_phases(form):
        return
    slow = [(t, part) for t, part in spectrum(rve, 1.0 / period).relaxation_times if part > _MATTERS]
    if slow and 2.0 * np.pi * slow[0][0] > _AT_ONCE * period:
        time, part = slow[0]
        scalar = next(block.name for block in rve.kinematics.blocks if block.kind == "value")
        warnings.warn(
            f"the {scalar} evens out within the cell in {time:.3g}, which is not short against a load that "
            f"changes in {period:.3g}, and changes the tangent by {part:.1%}: a uniform one does not "
            "hold, see fe2 spectrum",
            Fe2Warning,
            stacklevel=2,
        )


def _is_one_field(form: CellForm) -> bool:
    """Whether the scalar is one field, all over the cell."""
    return form.copies is None and form.direct is None


def _relaxing_phases(form: CellForm) -> list[str]:
    """Phases that are viscoelastic, or whose law of the gradient alone is."""
    parts = {
        name: (law, getattr(getattr(law, "law", law), "mechanics", None)) for name, law in form.laws.items()
    }
    return [name for name, laws in parts.items() if any(map(relaxes, laws))]


def _insert(A: Complex, found: Complex, moved: Ints, value: int, held: bool) -> None:
    """Put (gradient, content) ↦ (flux, mean of the scalar) into a tangent."""
    if not held:
        A[np.ix_(moved, moved)] = found[:-1, :-1]
        return
    a, b, d = found[:-1, -1], found[-1, :-1], found[-1, -1]
    A[np.ix_(moved, moved)] = found[:-1, :-1] - np.outer(a, b) / d
    A[moved, value], A[value, moved], A[value, value] = a / d, -b / d, 1.0 / d


class _UnsteadyCell:
    """The matrices of a cell whose scalar is a field, by the unknowns that are the scalar's (p) or not (u).

    Attributes:
        value: Component of the gradient that is the scalar.
        moved: Components of the gradient whose modes move other fields.
    """

    def __init__(self, rve: RVE) -> None:
        form, cell = rve.form, rve.cell
        if len(form.values) != 1 or not _is_one_field(form):
            raise InputError(
                "a spectrum needs a cell with one value, such as a temperature, without contacts and without "
                "pores that are holes: what fills them has no field of its own"
            )
        kinematics, (value,) = rve.kinematics, form.values
        block = next(b for b in kinematics.blocks if kinematics.slices[b.name].start == value.component)
        self.value = value.component
        others = [kinematics.slices[b.name] for b in kinematics.blocks if b.field != block.field]
        self.moved = np.concatenate([np.zeros(0, np.int64), *(np.r_[part] for part in others)])
        number = list(kinematics.fields).index(block.field)
        of_scalar = np.zeros(len(form.modes), dtype=bool)
        of_scalar[form.fields()[number][1]] = True
        modes = np.where(of_scalar[:, None], 0.0, form.modes)
        fixed = None if form.fixed is None else form.fixed & ~of_scalar
        boundary = boundary_map(rve.boundary_condition, cell, replace(form, modes=modes, fixed=fixed))
        K, C, integral = _assembled(rve, number)
        C = block.balance * C
        T, X, volume = boundary.matrix, modes[:, self.moved], cell.volume
        scalar = np.zeros(boundary.size, dtype=bool)
        scalar[np.setdiff1d(boundary.free[of_scalar], [-1])] = True
        there = np.flatnonzero(scalar & _touched(T.T @ K @ T, T.T @ C @ T))  # not in solids without pores
        order = np.concatenate([np.flatnonzero(~scalar), there])
        T, self._others = T[:, order], int(np.count_nonzero(~scalar))
        self._K, self._C = (T.T @ K @ T).tocsr(), (T.T @ C @ T).tocsr()
        self._constraints = sp.csr_matrix(boundary.constraints[:, order])
        self._forces, self._stored = T.T @ (K @ X), T.T @ (C @ X)
        self._work = T.T @ (K.T @ X) / volume
        self._direct = X.T @ (K @ X) / volume
        mean = T.T @ integral
        self._mean = mean / integral.sum()
        self._supply = block.balance * mean * volume / integral.sum()

    @property
    def stores(self) -> bool:
        """Whether anything is stored of the scalar."""
        return bool(abs(self._C).sum() + np.abs(self._stored).sum() > 0.0)

    @property
    def has_modes(self) -> bool:
        """Whether the scalar is driven by what it stores alone, symmetric, and of few unknowns."""
        n, H, C = self._others, self._K[self._others :, self._others :], self._C
        driven = abs(self._K[n:, :n]).sum() + np.abs(self._forces[n:]).sum()
        symmetric = abs(H - H.T).max() <= 1e-10 * abs(H).max() and C[:n].nnz == 0
        return bool(symmetric and driven == 0.0 and H.shape[0] <= MOST_MODES)

    def by_factorization(self, rate: complex) -> Complex:
        """(gradient, content) ↦ (flux, mean of the scalar) at a rate iω."""
        matrix = sp.bmat([[self._K + rate * self._C, self._constraints.T], [self._constraints, None]])
        loads = np.column_stack([-self._forces - rate * self._stored, rate * self._supply])
        padded = np.vstack([loads, np.zeros((self._constraints.shape[0], loads.shape[1]))])
        w = factorized(matrix)(padded)[: len(loads)]
        found = np.vstack([self._work.T @ w, self._mean @ w])
        found[:-1, :-1] += self._direct
        return found

    def by_modes(self) -> tuple[Callable[[complex], Complex], tuple[tuple[float, float], ...]]:
        """The same of all rates at once, from the modes in which the scalar evens out; and their times."""
        n, constraints = self._others, self._constraints[:, : self._others]
        right = np.column_stack([self._K[:n, n:].toarray(), self._forces[:n]])
        solve = factorized(sp.bmat([[self._K[:n, :n], constraints.T], [constraints, None]]))
        moves = solve(np.vstack([right, np.zeros((constraints.shape[0], right.shape[1]))]))[:n]
        by_scalar, by_gradient = np.split(moves, [self._K.shape[0] - n], axis=1)
        couple = self._C[n:, :n]
        H, M = self._K[n:, n:].toarray(), self._C[n:, n:].toarray() - couple @ by_scalar
        loads = np.column_stack([self._stored[n:] - couple @ by_gradient, -self._supply[n:]])
        answers = np.vstack([self._work[n:].T - self._work[:n].T @ by_scalar, self._mean[n:]])
        base = np.zeros((len(answers), loads.shape[1]))
        base[:-1, :-1] = self._direct - self._work[:n].T @ by_gradient
        M = 0.5 * (M + M.T)
        # shifted, so that constituents that store nothing, or conduct nothing, do no harm
        _, V = scipy.linalg.eigh(M, H + np.trace(H) / np.trace(M) * M)
        stores, evens = (np.einsum("ij,ij->j", V, matrix @ V) for matrix in (M, H))
        evens[evens < _STEADY] = 0.0
        answers, loads = answers @ V, V.T @ loads

        def respond(rate: complex) -> Complex:
            return base - (answers * (rate / (evens + rate * stores))) @ loads

        return respond, _relaxation_times(evens, stores, answers[:-1], loads[:, :-1], base[:-1, :-1])


def _relaxation_times(
    evens: Array, stores: Array, answers: Array, loads: Array, base: Array
) -> tuple[tuple[float, float], ...]:
    """Times 1/λ of modes, the longest first, with their parts of the tangent at the highest frequencies."""
    relaxes = (evens > 0.0) & (stores > _STEADY * np.abs(stores).max())
    if not answers.size or not relaxes.any():
        return ()
    parts = np.abs(answers[:, relaxes]).max(axis=0) * np.abs(loads[relaxes]).max(axis=1) / stores[relaxes]
    lasts = stores > _STEADY * np.abs(stores).max()
    parts /= np.abs(base - (answers[:, lasts] / stores[lasts]) @ loads[lasts]).max()
    times = stores[relaxes] / evens[relaxes]
    order = np.argsort(-times)
    return tuple((float(times[k]), float(parts[k])) for k in order if parts[k] > _VISIBLE)


def _touched(*matrices: Any) -> npt.NDArray[np.bool_]:
    """Unknowns that have an entry in one of the matrices."""
    sums: Array = sum(abs(matrix).sum(axis=1) for matrix in matrices)
    return np.asarray(sums).reshape(-1) > 0.0


def _assembled(rve: RVE, number: int) -> tuple[Any, Any, Array]:
    """Matrices of the residual and of what is stored, in the virgin state, and the integral of the scalar.

    The value of the form is a number; the scalar as a field takes its place in the derivatives.
    """
    form, problem, state = rve.form, rve.problem, rve.initial_state()
    space, (value,) = form.unknown.function_space, form.values
    test, trial = ufl.TestFunction(space), ufl.TrialFunction(space)
    several = len(form.fields()) > 1
    q, local = (ufl.split(f)[number] if several else f for f in (test, trial))
    stored = ufl.Form([part.reconstruct(part.integrand() * q) for part in value.conjugate.integrals()])
    matrices = []
    # a dual that is a rate, (h - h_n)/dt, is what is stored in a step of unit length
    for linear, dt in ((form.residual, 0.0), (stored, 1.0)):
        changes = form.derivative(linear, form.unknown, trial) + form.derivative(
            linear, value.constant, local
        )
        compiled = compile_form(changes, rve.cell.mesh.comm)
        problem.load(state, dt)
        problem.set_field(rve.kinematics.origin, state[rve.state.fluctuation])
        problem.assemble_residual()
        matrix = fem.create_matrix(compiled)
        matrix.set_value(0.0)
        fem.assemble_matrix(matrix, compiled)
        matrices.append(matrix.to_scipy().tocsr().copy())
    integral = fem.assemble_vector(compile_form(q * ufl.dx(rve.cell.mesh), rve.cell.mesh.comm)).array.copy()
    return *matrices, integral
