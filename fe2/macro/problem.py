"""The macroscopic problem: the user's own form, its derived Jacobian, and PETSc's SNES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dolfinx.fem.petsc as fem_petsc
import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from petsc4py import PETSc

from fe2.dispatch.traffic import Traffic
from fe2.errors import Fe2Error, MacroSolveError, MicroSolveError
from fe2.jit import compile_form
from fe2.macro.law import Evaluation, HomogenizedLaw
from fe2.macro.rate import Rate
from fe2.macro.snes import SolverOptions, set_domain_error
from fe2.micro.model import EXACT, ExplainingModel, ReportingModel, Request
from fe2.petsc_errors import reason as petsc_reason
from fe2.profile import phase
from fe2.records import merged

Array = npt.NDArray[np.float64]

_MOST_REFUSALS = 6
"""Failed evaluations in one Newton iteration after which it is given up.

The line search halves the step at each, so it crawls towards a point at which the micro models
fail: a smaller load step is cheaper.
"""


_MICRO_SHARE, _MICRO_LOOSEST = 0.1, 1e-2
"""Relative residual that cells may leave: a share of that of the macroscopic problem, and at most so much."""

_MOST_POLISHES = 4
"""Times that the macroscopic iteration goes on after its cells were polished."""

_ROUND_OFF = 1e-13
"""Change of the unknown in an iteration that is round-off, relative to the unknown."""


class MacroProblem:
    r"""A nonlinear variational problem F(u; v) = 0 in which homogenized fluxes stand.

    The Jacobian is derived:

    .. math:: \partial_u F + \sum_\ell \partial_{s_\ell} F\,[A_\ell\,\partial_u g_\ell]

    Newton's iteration has converged where the norm of the residual is at most ``snes_rtol`` times
    the forces of the problem: the first residual of the step, or the reactions at the constrained
    degrees of freedom, whichever is larger; or where an iteration changed nothing but round-off.

    Attributes:
        unknown: The macroscopic unknown u.
        laws: The homogenized laws in the form.
        bcs: Dirichlet boundary conditions.
        comm: Communicator of the macroscopic mesh.
        points: Number of quadrature points with a micro model, on all ranks.
        unknowns: Number of macroscopic degrees of freedom, on all ranks.
        dt: Length of the present step.
        snes: PETSc's nonlinear solver, with the options prefix ``fe2_macro_``.
        norms: Norms of the residual in the last solve.
        before_evaluation: Called on all ranks before the micro models are evaluated; collective. An error
            that it raises ends the solve.
    """

    def __init__(
        self,
        residual: ufl.Form,
        unknown: fem.Function,
        laws: HomogenizedLaw | Sequence[HomogenizedLaw],
        *,
        bcs: Sequence[fem.DirichletBC] = (),
        rate: Rate | None = None,
        petsc_options: dict[str, Any] | None = None,
    ) -> None:
        """Derive the Jacobian, compile, and set up the solver; collective.

        Args:
            residual: The form F, linear in its test function.
            unknown: The function u.
            laws: The homogenized law or laws whose fluxes stand in F.
            bcs: Dirichlet boundary conditions.
            rate: The rate of the unknown that stands in F, if one does.
            petsc_options: PETSc options without their prefix. Options that are set in PETSc's
                database under ``fe2_macro_`` come last and win.
        """
        self.unknown, self.bcs = unknown, list(bcs)
        self.laws = [laws] if isinstance(laws, HomogenizedLaw) else list(laws)
        self.comm = unknown.function_space.mesh.comm
        self._rate = rate
        direction = ufl.TrialFunction(unknown.function_space)
        jacobian = ufl.derivative(residual, unknown, direction)
        for law in self.laws:
            jacobian += law.derivative(residual, unknown, direction)
        self._residual_form = compile_form(residual, self.comm)
        self._jacobian_form = compile_form(jacobian, self.comm)
        self._matrix = fem_petsc.create_matrix(self._jacobian_form)
        self._vector = fem_petsc.create_vector(unknown.function_space)
        self._internal = fem_petsc.create_vector(unknown.function_space)
        self.points = self.comm.allreduce(sum(len(law.cells) * law.points_per_cell for law in self.laws))
        self.unknowns = int(self._vector.size)
        self._counts = Evaluation(0, 0, 0.0)
        self.dt = 0.0
        self.norms: list[float] = []
        self.before_evaluation: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._refusals: list[MicroSolveError] = []
        self._force = self._largest_force = 0.0
        self._options = SolverOptions(petsc_options or {})
        self._is_set_up = False
        self._set_up()

    def solve(self, dt: float = 1.0) -> int:
        """Solve for the unknown at the end of a time step; collective.

        The states of the micro models are trial states afterwards: call :meth:`commit` to accept
        the step or :meth:`rollback` to give it up. The unknown is left as it is on failure.

        Args:
            dt: Length of the step, handed to the micro models.

        Returns:
            Number of Newton iterations.

        Raises:
            MicroSolveError: A micro model failed and the line search could not avoid it.
            MacroSolveError: Newton's iteration did not converge.
            Fe2Error: PETSc failed on this rank, perhaps on no other.
        """
        if not self._is_set_up:
            self._set_up()
        if self._rate is not None:
            self._rate.begin(dt)
        self._begin(dt)
        before = self.unknown.x.array.copy()
        fem_petsc.assign(self.unknown, self._solution)
        try:
            with phase("macro solve"):
                return self._iterate()
        except PETSc.Error as error:
            self._restore(before)
            self._is_set_up = False  # not made anew here: other ranks may know nothing of the error
            # perhaps on this rank alone: no failed step, which all ranks would have to give up together
            text = f"PETSc failed in the macroscopic problem: {petsc_reason(error)}"
            raise (self._failure or Fe2Error(text)) from error
        except (MicroSolveError, MacroSolveError):
            self._restore(before)
            raise

    def initialize(self) -> None:
        """Take the present value of the unknown as the initial state; collective.

        The micro models are evaluated with a step without length and what they then remember is
        committed, e.g. the enthalpy at the initial temperature.

        Raises:
            MicroSolveError: A micro model failed.
        """
        for law in self.laws:
            law.evaluate(0.0)
        self.commit()

    def commit(self) -> None:
        """Accept the step: trial states of all laws become the committed ones."""
        for law in self.laws:
            law.commit()

    def rollback(self) -> None:
        """Give the step up: trial states of all laws are forgotten."""
        for law in self.laws:
            law.rollback()

    def exchange(self) -> dict[str, float]:
        """What all ranks exchanged for the micro models up to the last commit, by name."""
        total = sum((law.pool.traffic for law in self.laws), Traffic())
        return total.named() if self.comm.size > 1 else {}

    def take_counts(self) -> Evaluation:
        """Work of the micro models since the last call, summed over all ranks; collective."""
        own, self._counts = self._counts, Evaluation(0, 0, 0.0)
        return Evaluation(
            self.comm.allreduce(own.points),
            self.comm.allreduce(own.iterations),
            self.comm.allreduce(own.seconds),
        )

    def choices(self) -> dict[str, str]:
        """How the micro models are solved, and why; those of later laws are numbered."""
        found: dict[str, str] = {}
        for number, law in enumerate(self.laws):
            if isinstance(law.micro, ExplainingModel):
                suffix = f" of law {number}" if number else ""
                found |= {name + suffix: text for name, text in law.micro.choices().items()}
        return found

    def reports(self) -> dict[str, float]:
        """What the micro models report, over all ranks; collective."""
        models = {id(law.micro): law.micro for law in self.laws}.values()
        own = [model.report() for model in models if isinstance(model, ReportingModel)]
        return merged(report for part in self.comm.allgather(own) for report in part)

    def reaction(self, support: fem.DirichletBC | Sequence[fem.DirichletBC]) -> Array:
        """Sum of the residual over the degrees of freedom of a support, by component; collective.

        Without other forces there this is the force that the support exerts on the body.

        Args:
            support: A boundary condition, or the several that make one support.

        Returns:
            Shape (components of the unknown,); components that are not constrained are zero.
        """
        block = self.unknown.function_space.dofmap.index_map_bs
        sums = np.zeros(block)
        own = _owned_dofs([support] if isinstance(support, fem.DirichletBC) else support)
        np.add.at(sums, own % block, self._internal.array[own])
        total = np.empty_like(sums)
        self.comm.Allreduce(sums, total)
        return total

    def _begin(self, dt: float) -> None:
        self.dt, self.norms, self._failure, self._refusals = dt, [], None, []
        self._starts = True

    def _iterate(self) -> int:
        """Newton's iteration, which goes on where polished cells leave more than the tolerance."""
        iterations = 0
        for _ in range(_MOST_POLISHES):
            with self._options.in_database():
                self.snes.solve(None, self._solution)
            if (reason := self.snes.getConvergedReason()) < 0:
                raise self._diverged(reason)
            iterations += int(self.snes.getIterationNumber())
            if iterations and self.comm.rank == 0:
                self._options.tell_unused()
            self._copy_to_unknown(self._solution)
            is_round_off = reason == PETSc.SNES.ConvergedReason.CONVERGED_SNORM_RELATIVE
            if not self._polish() or is_round_off or self._residual_norm() <= self._tolerance():
                return iterations
        raise self._diverged(int(PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT))

    def _polish(self) -> bool:
        """Bring cells that were solved loosely to their full tolerance; whether there may be any."""
        adaptive = [law for law in self.laws if law.adaptive]
        for law in adaptive:
            self._counts += law.evaluate(self.dt, Request("polish"))
        return bool(adaptive)

    def _residual_norm(self) -> float:
        self._assemble(self.snes, self._solution, self._vector)
        return float(self._vector.norm())

    def _tolerance(self) -> float:
        rtol, atol, _, _ = self.snes.getTolerances()
        return max(atol, rtol * max(self._force, self.norms[0]))

    def _request(self, law: HomogenizedLaw) -> Request:
        """What a law's cells have to deliver: no more digits than the macroscopic residual warrants."""
        if not law.adaptive:
            return EXACT
        # against the largest forces so far: where nothing acts any more, noise is all there is
        scale = max(self._largest_force, *self.norms[:1], np.finfo(float).tiny)
        error = self.norms[-1] / scale if self.norms else 1.0
        return Request("approach", min(_MICRO_LOOSEST, _MICRO_SHARE * error))

    def _anticipate(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        """Look at the first step of the iteration, so that cells that unload on it answer elastically."""
        adaptive = [law for law in self.laws if law.adaptive]
        if not self._starts or not adaptive:
            return
        self._starts = False
        self._assemble_jacobian(snes, x, self._matrix, self._matrix)
        step, ksp = b.duplicate(), snes.getKSP()
        ksp.setOperators(self._matrix)
        ksp.solve(b, step)
        if ksp.getConvergedReason() > 0:
            step.aypx(-1.0, x)
            self._copy_to_unknown(step)
            for law in adaptive:
                self._counts += law.evaluate(self.dt, Request("anticipate"))
            self._copy_to_unknown(x)
            self._assemble(snes, x, b)

    def _set_up(self) -> None:
        """Make solver and vector anew: an error within PETSc leaves vectors locked."""
        self._solution = fem_petsc.create_vector(self.unknown.function_space)
        self.snes = PETSc.SNES().create(self.comm)
        self.snes.setFunction(self._assemble_residual, self._vector)
        self.snes.setJacobian(self._assemble_jacobian, self._matrix)
        self.snes.setConvergenceTest(self._converged)
        self._options.configure(self.snes)
        self._is_set_up = True

    def _assemble_residual(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        try:
            self._copy_to_unknown(x)
            if self.before_evaluation is not None:
                self.before_evaluation()
            for law in self.laws:
                self._counts += law.evaluate(self.dt, self._request(law))
            self._assemble(snes, x, b)
            self._anticipate(snes, x, b)
        except MicroSolveError as error:
            # the same on all ranks: SNES's line search may still find a shorter step that works
            self._failure = error
            self._refusals.append(error)
            set_domain_error(snes)
            b.set(np.inf)
            return
        except BaseException as error:  # an interrupt too: PETSc would hide which error it was
            self._failure = error
            raise
        self._failure = None

    def _assemble(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        """Residual for present fluxes and tangents: lifting uses these where x violates the conditions."""
        with phase("macro assembly"):
            fem_petsc.assemble_residual(
                snes, x, b, self.unknown, self._residual_form, self._jacobian_form, self.bcs
            )
            self._measure_forces()

    def _measure_forces(self) -> None:
        """Assemble the residual without boundary conditions: its constrained entries are the reactions."""
        with self._internal.localForm() as local:
            local.set(0.0)
        fem_petsc.assemble_vector(self._internal, self._residual_form)
        self._internal.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
        own = _owned_dofs(self.bcs)
        self._force = float(np.sqrt(self.comm.allreduce(float(np.sum(self._internal.array[own] ** 2)))))
        self._largest_force = max(self._largest_force, self._force)

    def _assemble_jacobian(self, snes: PETSc.SNES, x: PETSc.Vec, J: PETSc.Mat, P: PETSc.Mat) -> None:
        with phase("macro assembly"):
            J.zeroEntries()
            fem_petsc.assemble_matrix(J, self._jacobian_form, bcs=self.bcs)
            J.assemble()

    def _converged(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        norm = norms[2]
        self.norms.append(norm)
        refusals, self._refusals = self._refusals, []
        max_iterations = snes.getTolerances()[3]
        if not np.isfinite(norm):
            return int(PETSc.SNES.ConvergedReason.DIVERGED_FNORM_NAN)
        if norm <= self._tolerance():
            return int(PETSc.SNES.ConvergedReason.CONVERGED_FNORM_RELATIVE)
        if iteration and norms[1] <= _ROUND_OFF * norms[0]:
            # where nothing acts any more there is no force to compare with, and the residual is round-off
            return int(PETSc.SNES.ConvergedReason.CONVERGED_SNORM_RELATIVE)
        if len(refusals) > _MOST_REFUSALS:
            self._failure = refusals[-1]
            return int(PETSc.SNES.ConvergedReason.DIVERGED_LINE_SEARCH)
        if iteration >= max_iterations:
            return int(PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT)
        return 0

    def _copy_to_unknown(self, x: PETSc.Vec) -> None:
        x.ghostUpdate(addv=PETSc.InsertMode.INSERT, mode=PETSc.ScatterMode.FORWARD)
        fem_petsc.assign(x, self.unknown)

    def _restore(self, values: Array) -> None:
        self.unknown.x.array[:] = values

    def _diverged(self, reason: int) -> Fe2Error:
        norms = ", ".join(f"{norm:.2e}" for norm in self.norms[-6:])
        text = f"the macroscopic Newton iteration did not converge (SNES reason {reason}), residuals {norms}"
        if isinstance(self._failure, MicroSolveError):
            return self._failure
        error = MacroSolveError(text)
        error.collective = True
        return error


def _owned_dofs(bcs: Sequence[fem.DirichletBC]) -> npt.NDArray[np.int32]:
    """This rank's own degrees of freedom under boundary conditions, each once."""
    constrained = [dofs[:owned] for dofs, owned in (bc.dof_indices() for bc in bcs)]
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *constrained]))
