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
from fe2.macro.fields import Fields, constrained_dofs
from fe2.macro.forces import Forces
from fe2.macro.law import Evaluation, HomogenizedLaw
from fe2.macro.line_search import TYPE as LINE_SEARCH
from fe2.macro.line_search import LineSearch
from fe2.macro.linear_check import LinearCheck
from fe2.macro.rate import Rate
from fe2.macro.snes import SolverOptions, set_domain_error, weakly
from fe2.micro.model import EXACT, Request, choices, report
from fe2.petsc_errors import reason as petsc_reason
from fe2.profile import phase
from fe2.records import merged

Array = npt.NDArray[np.float64]

_MICRO_SHARE, _MICRO_LOOSEST = 0.1, 1e-2
"""Relative residual that cells may leave: a share of that of the macroscopic problem, and at most so much."""

_MOST_POLISHES = 4
"""Times that the macroscopic iteration goes on after its cells were polished."""


class MacroProblem:
    r"""A nonlinear variational problem F(u; v) = 0 in which homogenized fluxes stand.

    The Jacobian is derived:

    .. math:: \partial_u F + \sum_\ell \partial_{s_\ell} F\,[A_\ell\,\partial_u g_\ell]

    Newton's iteration has converged where in each field of the unknown the norm of the residual is at most
    ``snes_rtol`` times the forces of that field, see `forces.py`, or its last change was round-off.
    The fields of a mixed unknown are named after it and numbered, as in the results: those of ``w`` are
    ``w_0``, ``w_1``, ...

    Attributes:
        unknown: The macroscopic unknown u.
        laws: The homogenized laws in the form.
        bcs: Dirichlet boundary conditions.
        comm: Communicator of the macroscopic mesh.
        points: Number of quadrature points with a micro model, on all ranks.
        unknowns: Number of macroscopic degrees of freedom, on all ranks.
        dt: Length of the present step.
        snes: PETSc's nonlinear solver, with the options prefix ``fe2_macro_``.
        fields: The fields of the unknown, with their names.
        norms: Norms of the residual in the last solve; for an unknown of several fields, whose residuals have
            different units, relative to the forces of the field that is worst.
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
        self.fields = Fields(unknown)
        self._forces = Forces(self.fields)
        self.norms: list[float] = []
        self.before_evaluation: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._options = SolverOptions(petsc_options or {}, several_fields=len(self.fields) > 1)
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
        before = self.unknown.x.array.copy()
        fem_petsc.assign(self.unknown, self._solution)
        self._begin(dt)
        try:
            with phase("macro solve"):
                return self._iterate()
        except PETSc.Error as error:
            self._restore(before)
            self._is_set_up = False  # not made anew here: other ranks may know nothing of the error
            # perhaps on this rank alone: no failed step, which all ranks would have to give up together
            failure = self._failure or error
            if isinstance(failure, PETSc.Error):
                failure = Fe2Error(f"PETSc failed in the macroscopic problem: {petsc_reason(failure)}")
            raise failure from error
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
            suffix = f" of law {number}" if number else ""
            found |= {name + suffix: text for name, text in choices(law.micro).items()}
        return found

    def reports(self) -> dict[str, float]:
        """What the micro models report, over all ranks; collective."""
        models = {id(law.pool.reporting): law.pool.reporting for law in self.laws}.values()
        own = [report(model) for model in models if model is not None]
        return merged(found for part in self.comm.allgather(own) for found in part)

    def reaction(
        self, support: fem.DirichletBC | Sequence[fem.DirichletBC], field: str | int | None = None
    ) -> Array:
        """Sum of the residual over the degrees of freedom of a support, by component; collective.

        Without other forces there this is the force that the support exerts on the body, or what flows in.

        Args:
            support: A boundary condition, or the several that make one support.
            field: Name or number of the field whose components are wanted; all fields that the support
                constrains by default, one after the other.

        Returns:
            Shape (components,); components that are not constrained are zero.

        Raises:
            InputError: The unknown has no such field.
        """
        found = self.reactions(support)
        if field is not None:
            number = self.fields.number(field)
            return found.get(self.fields.names[number], np.zeros(self.fields.sizes[number]))
        return np.concatenate([np.zeros(0), *found.values()])

    def reactions(self, support: fem.DirichletBC | Sequence[fem.DirichletBC]) -> dict[str, Array]:
        """As :meth:`reaction`, by the name of each field that the support constrains; collective."""
        dofs = constrained_dofs([support] if isinstance(support, fem.DirichletBC) else support)
        sums = self.fields.sums(self._internal.array, dofs)
        return {self.fields.names[k]: sums[k] for k in self.fields.among(dofs)}

    def _begin(self, dt: float) -> None:
        self.dt, self.norms, self._failure = dt, [], None
        self._forces.begin(self._solution.array.copy(), constrained_dofs(self.bcs))
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
            if iterations and self.comm.rank == 0:
                self._options.tell_unused()
            self._copy_to_unknown(self._solution)
            is_round_off = reason == PETSc.SNES.ConvergedReason.CONVERGED_SNORM_RELATIVE
            if not self._polish() or is_round_off or self._is_balanced():
                return iterations
        raise self._diverged(int(PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT))

    def _polish(self) -> bool:
        """Bring cells that were solved loosely to their full tolerance; whether there may be any."""
        adaptive = [law for law in self.laws if law.adaptive]
        for law in adaptive:
            self._counts += law.evaluate(self.dt, Request("polish"))
        return bool(adaptive)

    def _is_balanced(self) -> bool:
        self._assemble(self.snes, self._solution, self._vector)
        rtol, atol, _, _ = self.snes.getTolerances()
        return self._forces.balances(self._vector.array, rtol, atol)

    def _request(self, law: HomogenizedLaw) -> Request:
        """What a law's cells have to deliver: no more digits than the macroscopic residual warrants."""
        if not law.adaptive:
            return EXACT
        return Request("approach", min(_MICRO_LOOSEST, _MICRO_SHARE * self._forces.error()))

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
        self.snes.setFunction(weakly(self._assemble_residual), self._vector)
        self.snes.setJacobian(weakly(self._assemble_jacobian), self._matrix)
        self.snes.setConvergenceTest(weakly(self._converged))
        self._options.configure(self.snes, self._matrix)
        keep = weakly(self._keep)
        self.snes.getKSP().setPostSolve(LinearCheck(self.fields, weakly(self._constrained), keep))
        own = self.snes.getLineSearch().getType() == LINE_SEARCH
        self._search = LineSearch(self.snes, weakly(self._helps), keep) if own else None
        self._is_set_up = True

    def _helps(self, trial: PETSc.Vec, residual: PETSc.Vec) -> bool:
        """Whether a trial of the line search leads towards equilibrium."""
        self.snes.computeFunction(trial, residual)
        return self._failure is None and self._forces.helps(residual.array, trial, self._matrix)

    def _constrained(self) -> npt.NDArray[np.int32]:
        """This rank's own degrees of freedom under boundary conditions."""
        return constrained_dofs(self.bcs)

    def _keep(self, error: BaseException) -> None:
        self._failure = self._failure or error

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
        self._forces.measure(self._internal.array)

    def _assemble_jacobian(self, snes: PETSc.SNES, x: PETSc.Vec, J: PETSc.Mat, P: PETSc.Mat) -> None:
        with phase("macro assembly"):
            J.zeroEntries()
            fem_petsc.assemble_matrix(J, self._jacobian_form, bcs=self.bcs)
            J.assemble()

    def _converged(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int:
        reasons = PETSc.SNES.ConvergedReason
        rtol, atol, _, max_iterations = snes.getTolerances()
        if not np.isfinite(norms[2]):
            return int(reasons.DIVERGED_FNORM_NAN)
        if self._search is not None and self._search.failed:
            return int(reasons.DIVERGED_LINE_SEARCH)
        self._forces.append(self._vector.array, self._solution, self._matrix if iteration else None)
        self.norms.append(self._forces.size())
        if self._forces.balances(self._vector.array, rtol, atol):
            return int(reasons.CONVERGED_FNORM_RELATIVE)
        if self._forces.is_settled(self._vector.array, rtol, atol):
            # where nothing acts any more there is no force to compare with, and the residual is round-off
            return int(reasons.CONVERGED_SNORM_RELATIVE)
        return int(reasons.DIVERGED_MAX_IT) if iteration >= max_iterations else 0

    def _copy_to_unknown(self, x: PETSc.Vec) -> None:
        x.ghostUpdate(addv=PETSc.InsertMode.INSERT, mode=PETSc.ScatterMode.FORWARD)
        fem_petsc.assign(x, self.unknown)

    def _restore(self, values: Array) -> None:
        self.unknown.x.array[:] = values

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
