"""Newton's iteration of a macroscopic problem: PETSc's SNES, whose residuals evaluate the micro models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from dolfinx import fem
from petsc4py import PETSc

from fe2.errors import Fe2Error, MacroSolveError, MicroSolveError
from fe2.macro.fields import Fields
from fe2.macro.forces import Forces
from fe2.macro.law import Evaluation, HomogenizedLaw
from fe2.macro.line_search import TYPE as LINE_SEARCH
from fe2.macro.line_search import LineSearch
from fe2.macro.linear_check import LinearCheck
from fe2.macro.snes import SolverOptions, set_domain_error, weakly
from fe2.macro.system import System
from fe2.micro.points import Step
from fe2.petsc_errors import reason as petsc_reason
from fe2.profile import phase

_MICRO_SHARE, _MICRO_LOOSEST = 0.1, 1e-2
"""Relative residual that cells may leave: a share of that of the macroscopic problem, and at most so much."""

_MOST_POLISHES = 4
"""Times that the macroscopic iteration goes on after its cells were polished."""


class NewtonIteration:
    """Solves for the unknowns at the end of a step.

    Attributes:
        snes: PETSc's nonlinear solver.
        norms: Norms of the residual in the last solve; for an unknown of several fields, whose residuals have
            different units, relative to the forces of the field that is worst.
        counts: Work of the micro models so far, on this rank.
        before_evaluation: Called on all ranks before the micro models are evaluated; collective. An error
            that it raises ends the solve.
    """

    def __init__(
        self,
        system: System,
        fields: Fields,
        laws: Sequence[HomogenizedLaw],
        bcs: Sequence[fem.DirichletBC],
        options: SolverOptions,
    ) -> None:
        """Set up the solver; collective.

        Raises:
            InputError: PETSc refuses an option.
        """
        self.system, self.fields, self.laws, self.bcs, self._options = system, fields, laws, bcs, options
        self._comm = system.functions[0].function_space.mesh.comm
        self._forces, self.norms = Forces(fields), list[float]()
        self.counts = Evaluation(0, 0, 0.0)
        self.before_evaluation: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._dt = self._end = 0.0
        self._is_set_up = False
        self._set_up()

    def solve(self, dt: float, end: float) -> int:
        """Solve from the present values of the unknowns; collective.

        Args:
            dt: Length of the step.
            end: Time at its end.

        Returns:
            Number of Newton iterations.

        Raises:
            MicroSolveError: A micro model failed and the line search could not avoid it.
            MacroSolveError: The iteration did not converge.
            Fe2Error: PETSc failed on this rank, perhaps on no other.
        """
        if not self._is_set_up:
            self._set_up()
        self._dt, self._end = dt, end
        self.system.give(self._solution)
        self._begin()
        try:
            with phase("macro solve"):
                return self._iterate()
        except PETSc.Error as error:
            self._is_set_up = False  # not made anew here: other ranks may know nothing of the error
            # perhaps on this rank alone: no failed step, which all ranks would have to give up together
            failure = self._failure or error
            if isinstance(failure, PETSc.Error):
                failure = Fe2Error(f"PETSc failed in the macroscopic problem: {petsc_reason(failure)}")
            raise failure from error

    def _begin(self) -> None:
        self.norms, self._failure = [], None
        self._forces.begin(self._solution.array.copy(), self._constrained())
        if self._search is not None:
            self._search.failed = False
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
            if iterations and self._comm.rank == 0:
                self._options.tell_unused()
            self.system.take(self._solution)
            is_round_off = reason == PETSc.SNES.ConvergedReason.CONVERGED_SNORM_RELATIVE
            if not self._polish() or is_round_off or self._is_balanced():
                return iterations
        raise self._diverged(int(PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT))

    def _polish(self) -> bool:
        """Bring cells that were solved loosely to their full tolerance; whether there may be any."""
        adaptive = [law for law in self.laws if law.adaptive]
        for law in adaptive:
            self.counts += law.evaluate(self._step("polish"))
        return bool(adaptive)

    def _is_balanced(self) -> bool:
        self._assemble(self.snes, self._solution, self.system.residual)
        rtol, atol, _, _ = self.snes.getTolerances()
        return self._forces.balances(self.system.residual.array, rtol, atol)

    def _step(self, wanted: Literal["exact", "approach", "anticipate", "polish"] = "exact") -> Step:
        """The step, whose cells deliver no more digits than the macroscopic residual warrants."""
        accuracy = min(_MICRO_LOOSEST, _MICRO_SHARE * self._forces.error()) if wanted == "approach" else 0.0
        return Step(self._dt, self._end, wanted, accuracy)

    def _anticipate(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        """Look at the first step of the iteration, so that cells that unload on it answer elastically."""
        adaptive = [law for law in self.laws if law.adaptive]
        if not self._starts or not adaptive:
            return
        self._starts = False
        self._assemble_jacobian()
        step, ksp = b.duplicate(), snes.getKSP()
        ksp.setOperators(self.system.matrix, self.system.preconditioner)
        ksp.solve(b, step)
        if ksp.getConvergedReason() > 0:
            step.aypx(-1.0, x)
            self.system.take(step)
            for law in adaptive:
                self.counts += law.evaluate(self._step("anticipate"))
            self.system.take(x)
            self._assemble(snes, x, b)

    def _set_up(self) -> None:
        """Make solver and vector anew: an error within PETSc leaves vectors locked."""
        system = self.system
        self._solution = system.create_vector()
        self.snes = PETSc.SNES().create(self._comm)
        self.snes.setFunction(weakly(self._assemble_residual), system.residual)
        self.snes.setJacobian(weakly(self._assemble_jacobian), system.matrix, system.preconditioner)
        self.snes.setConvergenceTest(weakly(self._converged))
        self._options.configure(self.snes, system.matrix, system.preconditioner, self.fields)
        keep = weakly(self._keep)
        self.snes.getKSP().setPostSolve(LinearCheck(self.fields, weakly(self._constrained), keep))
        own = self.snes.getLineSearch().getType() == LINE_SEARCH
        self._search = LineSearch(self.snes, weakly(self._helps), keep) if own else None
        self._is_set_up = True

    def _helps(self, trial: PETSc.Vec, residual: PETSc.Vec) -> bool:
        """Whether a trial of the line search leads towards equilibrium."""
        self.snes.computeFunction(trial, residual)
        return self._failure is None and self._forces.helps(residual.array, trial, self.system.matrix)

    def _constrained(self) -> npt.NDArray[np.int32]:
        """This rank's own degrees of freedom under boundary conditions."""
        return self.fields.constrained(self.bcs)

    def _keep(self, error: BaseException) -> None:
        self._failure = self._failure or error

    def _assemble_residual(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        try:
            self.system.take(x)
            if self.before_evaluation is not None:
                self.before_evaluation()
            for law in self.laws:
                self.counts += law.evaluate(self._step("approach" if law.adaptive else "exact"))
            self._assemble(snes, x, b)
            self._anticipate(snes, x, b)
        except MicroSolveError as error:
            # the same on all ranks: SNES's line search may still find a shorter step that works
            self._failure = error
            if self._search is None or not self.norms:
                set_domain_error(snes)
            b.set(np.inf)
            return
        except BaseException as error:  # an interrupt too: PETSc would hide which error it was
            self._failure = error if not isinstance(error, PETSc.Error) else self._failure or error
            raise
        self._failure = None

    def _assemble(self, snes: PETSc.SNES, x: PETSc.Vec, b: PETSc.Vec) -> None:
        """Residual for present fluxes and tangents: lifting uses these where x violates the conditions."""
        with phase("macro assembly"):
            self.system.assemble_residual(snes, x, b)
            self._forces.measure(self.system.internal.array)

    def _assemble_jacobian(self, *arguments: PETSc.Object) -> None:
        with phase("macro assembly"):
            self.system.assemble_jacobian()

    def _converged(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        reasons = PETSc.SNES.ConvergedReason
        rtol, atol, _, max_iterations = snes.getTolerances()
        if not np.isfinite(norms[2]):
            return int(reasons.DIVERGED_FNORM_NAN)
        if self._search is not None and self._search.failed:
            return int(reasons.DIVERGED_LINE_SEARCH)
        matrix = self.system.matrix if iteration else None
        self._forces.append(self.system.residual.array, self._solution, matrix)
        self.norms.append(self._forces.size())
        if self._forces.is_balanced(rtol, atol):
            return int(reasons.CONVERGED_FNORM_RELATIVE)
        if self._forces.is_settled(rtol, atol):
            # where nothing acts any more there is no force to compare with, and the residual is round-off
            return int(reasons.CONVERGED_SNORM_RELATIVE)
        return int(reasons.DIVERGED_MAX_IT) if iteration >= max_iterations else 0

    def _diverged(self, reason: int) -> Fe2Error:
        text = (
            f"the macroscopic Newton iteration did not converge (SNES reason {reason}), "
            f"residuals {self._forces.described()}"
        )
        if isinstance(self._failure, MicroSolveError):
            return self._failure
        error = MacroSolveError(text)
        error.collective = True
        return error
