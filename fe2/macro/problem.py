"""The macroscopic problem: the user's own form, its derived Jacobian, and its steps in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from petsc4py import PETSc

from fe2.arrays import Array
from fe2.dispatch.traffic import Traffic
from fe2.errors import InputError
from fe2.macro.block_solver import Preconditioner, solver_options
from fe2.macro.fields import Fields
from fe2.macro.law import Evaluation, HomogenizedLaw
from fe2.macro.newton_iteration import NewtonIteration
from fe2.macro.rate import Rate, Scheme, check_scheme
from fe2.macro.snes import OPTIONS_PREFIX, SolverOptions
from fe2.macro.system import Jacobian, Residual, System, Unknown
from fe2.micro.points import Step
from fe2.records import merged


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
        fields: The fields of the unknown, with their names.
        rated: Numbers of the fields in whose equation a rate stands.
        storing: Numbers of the fields of which something is stored: those, and scalars in whose equation
            stand fluxes of a law that receives values.
        system: Vectors and matrices of the problem.
        iteration: Newton's iteration, with PETSc's solver.
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
        self.dt, self.time, self._is_within_step = 0.0, 0.0, False
        self.fields = Fields(self.functions)
        forms = [F] if isinstance(F, ufl.Form) else list(F)
        rated = {k for k, form in enumerate(forms) if any(rate.stands_in(form) for rate in self.rates)}
        valued = {k for k, form in enumerate(forms) if any(law.gives_value_in(form) for law in self.laws)}
        owners = list(enumerate(zip(self.fields.unknowns, self.fields.sizes, strict=True)))
        self.rated = [k for k, (n, _) in owners if n in rated]
        self.storing = [k for k, (n, size) in owners if n in rated or (size == 1 and n in valued)]
        options = SolverOptions(
            {**solver_options(preconditioner, self.fields.names), **(petsc_options or {})},
            petsc_options_prefix,
            several_fields=len(self.fields) > 1,
        )
        self.iteration = NewtonIteration(self.system, self.fields, self.laws, self.bcs, options)

    @property
    def snes(self) -> PETSc.SNES:
        """PETSc's nonlinear solver."""
        return self.iteration.snes

    @property
    def norms(self) -> list[float]:
        """Norms of the residual in the last solve.

        For an unknown of several fields, whose residuals have different units, they are relative to the
        forces of the field that is worst.
        """
        return self.iteration.norms

    @contextmanager
    def step(self, dt: float = 1.0) -> Iterator[None]:
        """A time step: what is done inside is committed at the end, and rolled back by an exception.

        .. code-block:: python

            load.value = 1.0
            with problem.step(0.1):
                problem.solve()

        An exception that leaves it finds the unknowns, the states of the micro models, and fluxes and
        tangents of the laws as they were before. Inside, :meth:`solve` may be called more than once, as
        staggered schemes do: rates keep to the beginning of the step.

        Args:
            dt: Length of the step, handed to the micro models.

        Raises:
            InputError: It is within another step.
        """
        if self._is_within_step:
            raise InputError(
                f"a step of the length {dt} within one of the length {self.dt}: end that one before"
            )
        before, answers = self._values(), [law.answers() for law in self.laws]
        self._begin_step(dt)
        self._is_within_step = True
        try:
            yield
        except BaseException:
            self._restore(before)
            for law, answer in zip(self.laws, answers, strict=True):
                law.take_back(answer)
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
        if not self._is_within_step:
            self._begin_step(1.0 if dt is None else dt)
        elif dt not in (None, self.dt):
            raise InputError(f"solve(dt={dt}) within a step of the length {self.dt}: leave dt out")
        before = self._values()
        try:
            return self.iteration.solve(self.dt, self.time + self.dt)
        except BaseException:
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
        own, self.iteration.counts = self.iteration.counts, Evaluation(0, 0, 0.0)
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

    def _values(self) -> list[Array]:
        return [function.x.array.copy() for function in self.functions]

    def _restore(self, values: list[Array]) -> None:
        for function, before in zip(self.functions, values, strict=True):
            function.x.array[:] = before
