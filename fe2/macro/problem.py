"""The macroscopic problem: the user's own form, its derived Jacobian, and PETSc's SNES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.dispatch.traffic import Traffic
from fe2.errors import Fe2Error, InputError, MacroSolveError, MicroSolveError
from fe2.macro.block_solver import Preconditioner, solver_options
from fe2.macro.fields import Fields
from fe2.macro.forces import Forces
from fe2.macro.law import Evaluation, HomogenizedLaw
from fe2.macro.line_search import TYPE as LINE_SEARCH
from fe2.macro.line_search import LineSearch
from fe2.macro.linear_check import LinearCheck
from fe2.macro.rate import Rate, Scheme, check_scheme
from fe2.macro.snes import OPTIONS_PREFIX, SolverOptions, set_domain_error, weakly
from fe2.macro.system import Jacobian, Residual, System, Unknown
from fe2.micro.points import Step
from fe2.petsc_errors import reason as petsc_reason
from fe2.profile import phase
from fe2.records import merged

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
    Several unknowns are named as their functions are. The fields of a mixed unknown are named after it and
    numbered, as in the results: those of ``w`` are ``w_0``, ``w_1``, ...

    Attributes:
        unknown: The macroscopic unknown u, or several.
        functions: The same as a tuple.
        laws: The homogenized laws in the form.
        bcs: Dirichlet boundary conditions.
        comm: Communicator of the macroscopic mesh.
        points: Number of quadrature points with a micro model, on all ranks.
        unknowns: Number of macroscopic degrees of freedom, on all ranks.
        dt: Length of the present step.
        time: Its start: the sum of all committed steps, or what it is set to.
        snes: PETSc's nonlinear solver.
        scheme: How rates follow from the values at the ends of steps.
        fields: The fields of the unknown, with their names.
        storing: Numbers of the fields of which something is stored: in whose equation a rate stands, and
            scalars in whose equation stand fluxes of a law that receives values.
        system: Vectors and matrices of the problem.
        norms: Norms of the residual in the last solve; for an unknown of several fields, whose residuals have
            different units, relative to the forces of the field that is worst.
        before_evaluation: Called on all ranks before the micro models are evaluated; collective. An error
            that it raises ends the solve.
    """

    def __init__(
        self,
        F: Residual,
        unknown: Unknown,
        laws: HomogenizedLaw | Sequence[HomogenizedLaw],
        *,
        bcs: Sequence[fem.DirichletBC] = (),
        J: Jacobian | None = None,
        P: Jacobian | None = None,
        rate: Rate | Sequence[Rate] | None = None,
        scheme: Scheme = "backward_euler",
        preconditioner: Preconditioner = "direct",
        petsc_options: dict[str, Any] | None = None,
        petsc_options_prefix: str = OPTIONS_PREFIX,
        entity_maps: Sequence[dmesh.EntityMap] | None = None,
    ) -> None:
        r"""Derive the Jacobian, compile, and set up the solver; collective.

        What DOLFINx's `NonlinearProblem` takes has the same name and the same meaning here. Matrices of the
        kind "nest" and options of the compilers are not offered.

        Args:
            F: The form, linear in its test function; for several unknowns a form for each.
            unknown: The function u, or several; a mixed function counts as one.
            laws: The homogenized law or laws whose fluxes stand in F.
            bcs: Dirichlet boundary conditions.
            J: What stands in the place of :math:`\partial_u F`, the derivative at constant fluxes, as
                ``ufl.derivative(F, u)`` gives it; for several unknowns rows of forms, None for zero. What
                the laws contribute is always added.
            P: The form of the matrix from which preconditioners are made, as J. Nothing is added to it:
                ``law.derivative(F, u, du)`` is what a law contributes.
            rate: The rate of an unknown that stands in F, or several.
            scheme: How these rates, and those of the laws' fluxes, follow from the values at the ends of
                steps: "backward_euler", or "bdf2" of second order, see :class:`fe2.Rate`. What cells
                integrate by themselves, as plastic flow, is not concerned.
            preconditioner: How linear systems are solved where the options do not say it: "direct" by a
                factorization, or "blocks" by iterations with multigrid on each field, for many unknowns.
            petsc_options: PETSc options without their prefix. Options that are set in PETSc's
                database under the prefix come last and win.
            petsc_options_prefix: Prefix of this problem's options; problems whose options differ in the
                database, or on the command line, need different ones.
            entity_maps: For forms with functions on several meshes.

        Raises:
            InputError: F, J or P do not have a form for each unknown, the scheme or the preconditioner is
                unknown, or PETSc refuses an option.
        """
        check_scheme(scheme)
        self.unknown, self.bcs, self.scheme = unknown, list(bcs), scheme
        self.laws = [laws] if isinstance(laws, HomogenizedLaw) else list(laws)
        self._own_rates = [rate] if isinstance(rate, Rate) else list(rate or ())
        for law in self.laws:
            law.scheme = scheme
        self.system = System(F, unknown, self.laws, self.bcs, J, P, entity_maps)
        self.functions = self.system.functions
        self.comm = self.functions[0].function_space.mesh.comm
        self.points = self.comm.allreduce(sum(len(law.cells) * law.points_per_cell for law in self.laws))
        self.unknowns = int(self.system.residual.size)
        self._counts = Evaluation(0, 0, 0.0)
        self.dt, self.time, self._is_within_step = 0.0, 0.0, False
        self.fields = Fields(self.functions)
        forms = [F] if isinstance(F, ufl.Form) else list(F)
        storing = {k for k, form in enumerate(forms) if any(rate.stands_in(form) for rate in self.rates)}
        valued = {k for k, form in enumerate(forms) if any(law.gives_value_in(form) for law in self.laws)}
        owners = list(enumerate(zip(self.fields.unknowns, self.fields.sizes, strict=True)))
        self.storing = [k for k, (n, size) in owners if n in storing or (size == 1 and n in valued)]
        self._forces = Forces(self.fields)
        self.norms: list[float] = []
        self.before_evaluation: Callable[[], None] | None = None
        self._failure: BaseException | None = None
        self._options = SolverOptions(
            {**solver_options(preconditioner, self.fields.names), **(petsc_options or {})},
            petsc_options_prefix,
            several_fields=len(self.fields) > 1,
        )
        self._is_set_up = False
        self._set_up()

    @contextmanager
    def step(self, dt: float = 1.0) -> Iterator[None]:
        """A time step: what is done inside is committed at the end, and rolled back by an exception.

        .. code-block:: python

            load.value = 1.0
            with problem.step(0.1):
                problem.solve()

        An exception that leaves it finds the unknowns and the states of the micro models as they were before;
        fluxes and tangents of the laws stay those of the last evaluation until the next. Inside,
        :meth:`solve` may be called more than once, as staggered schemes do: rates keep to the
        beginning of the step.

        Args:
            dt: Length of the step, handed to the micro models.

        Raises:
            InputError: It is within another step.
        """
        if self._is_within_step:
            raise InputError(
                f"a step of the length {dt} within one of the length {self.dt}: end that one before"
            )
        before = self._values()
        self._begin_step(dt)
        self._is_within_step = True
        try:
            yield
        except BaseException:
            self._restore(before)
            self.rollback()
            raise
        else:
            self.commit()
        finally:
            self._is_within_step = False

    def solve(self, dt: float | None = None) -> int:
        """Solve for the unknowns at the end of a time step; collective.

        Outside of :meth:`step` the states of the micro models are trial states afterwards: call
        :meth:`commit` to accept the step or :meth:`rollback` to give it up. The unknowns are left as they are
        on failure.

        Args:
            dt: Length of the step, handed to the micro models: that of :meth:`step` inside of one, and
                otherwise 1 by default.

        Returns:
            Number of Newton iterations.

        Raises:
            MicroSolveError: A micro model failed and the line search could not avoid it.
            MacroSolveError: Newton's iteration did not converge.
            InputError: Another length than that of the step that it is called in.
            Fe2Error: PETSc failed on this rank, perhaps on no other.
        """
        if not self._is_set_up:
            self._set_up()
        if not self._is_within_step:
            self._begin_step(1.0 if dt is None else dt)
        elif dt not in (None, self.dt):
            raise InputError(f"solve(dt={dt}) within a step of the length {self.dt}: leave dt out")
        before = self._values()
        self.system.give(self._solution)
        self._begin_iteration()
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
        self._begin_step(0.0)
        for law in self.laws:
            law.evaluate(Step(0.0, self.time))
        self.commit()

    def commit(self) -> None:
        """Accept the step: trial states of all laws become the committed ones."""
        self.time, self.dt = self.time + self.dt, 0.0
        for law in self.laws:
            law.commit()
        for rate in self._own_rates:
            rate.commit()

    def rollback(self) -> None:
        """Give the step up: trial states of all laws are forgotten."""
        self.dt = 0.0
        for law in self.laws:
            law.rollback()
        for rate in self._own_rates:
            rate.rollback()

    @property
    def remembered(self) -> dict[str, fem.Function | fem.Constant]:
        """What the next step needs of earlier ones beside the unknowns and the states, by name."""
        if self.scheme == "backward_euler":
            return {}
        own = {rate.unknown.name: rate for rate in self._own_rates}
        of_laws = {f"law {k}": law.rates for k, law in enumerate(self.laws) if law.rates is not None}
        return {
            **{f"past {name}": rate.past for name, rate in own.items()},
            **{f"past step of {name}": rate.past_step for name, rate in {**own, **of_laws}.items()},
        }

    @property
    def rates(self) -> list[Rate]:
        """The rates of unknowns and of fluxes."""
        return [*self._own_rates, *(law.rates for law in self.laws if law.rates is not None)]

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
            found |= {name + suffix: text for name, text in law.micro.choices().items()}
        return found

    def reports(self) -> dict[str, float]:
        """What the micro models report, over all ranks; collective."""
        models = {id(law.pool.reporting): law.pool.reporting for law in self.laws}.values()
        own = [model.report() for model in models if model is not None]
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
        dofs = self.fields.constrained([support] if isinstance(support, fem.DirichletBC) else support)
        sums = self.fields.sums(self.system.internal.array, dofs)
        return {self.fields.names[k]: sums[k] for k in self.fields.among(dofs)}

    def _begin_step(self, dt: float) -> None:
        self.dt = dt
        for rate in self._own_rates:
            rate.begin(dt, self.scheme)

    def _begin_iteration(self) -> None:
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
            if iterations and self.comm.rank == 0:
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
            self._counts += law.evaluate(self._step("polish"))
        return bool(adaptive)

    def _is_balanced(self) -> bool:
        self._assemble(self.snes, self._solution, self.system.residual)
        rtol, atol, _, _ = self.snes.getTolerances()
        return self._forces.balances(self.system.residual.array, rtol, atol)

    def _step(self, wanted: Literal["exact", "approach", "anticipate", "polish"] = "exact") -> Step:
        """The step, whose cells deliver no more digits than the macroscopic residual warrants."""
        accuracy = min(_MICRO_LOOSEST, _MICRO_SHARE * self._forces.error()) if wanted == "approach" else 0.0
        return Step(self.dt, self.time + self.dt, wanted, accuracy)

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
                self._counts += law.evaluate(self._step("anticipate"))
            self.system.take(x)
            self._assemble(snes, x, b)

    def _set_up(self) -> None:
        """Make solver and vector anew: an error within PETSc leaves vectors locked."""
        system = self.system
        self._solution = system.create_vector()
        self.snes = PETSc.SNES().create(self.comm)
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
                self._counts += law.evaluate(self._step("approach" if law.adaptive else "exact"))
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

    def _values(self) -> list[Array]:
        return [function.x.array.copy() for function in self.functions]

    def _restore(self, values: list[Array]) -> None:
        for function, before in zip(self.functions, values, strict=True):
            function.x.array[:] = before

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
