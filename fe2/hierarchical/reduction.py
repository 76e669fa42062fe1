"""From a cell and its training to a reduced cell, with the numbers that say what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array
from fe2.errors import InputError
from fe2.hierarchical.basis import Basis, Virgin, proper_orthogonal_decomposition, virgin_stiffness
from fe2.hierarchical.cubature import Cubature, all_cells, empirical_cubature
from fe2.hierarchical.flux_scale import FluxScale
from fe2.hierarchical.indicator import Indicator, along, calibrated
from fe2.hierarchical.paths import Path
from fe2.hierarchical.reduced_rve import ReducedRVE
from fe2.hierarchical.restriction import check_integrals
from fe2.hierarchical.solved_path import SolvedPath
from fe2.hierarchical.trained_range import TrainedRange, trained_range
from fe2.hierarchical.training import train
from fe2.micro.rve import RVE

_COARSER = 2.5
"""Tolerances of the coarse cell relative to those of the fine one."""


@dataclass(frozen=True)
class ReductionOptions:
    """How much of a cell is kept.

    Attributes:
        tolerance: Part of the fluctuations, in the energy norm, that the modes may leave out; of each field.
        cubature_tolerance: Part of the mesh cells' forces that the cubature may leave out; zero takes
            every mesh cell.
        modes: Largest number of modes.
    """

    tolerance: float = 0.02
    cubature_tolerance: float = 0.01
    modes: int | None = None

    def __post_init__(self) -> None:
        for name in ("tolerance", "cubature_tolerance"):
            if not 0.0 <= (value := getattr(self, name)) < 1.0:
                raise InputError(f"{name} = {value}: a part of the whole is needed, from 0 to less than 1")
        if self.modes is not None and self.modes < 1:
            raise InputError(
                f"modes = {self.modes}: a basis of zero modes answers nothing; 1 or more are needed"
            )

    def coarser(self) -> ReductionOptions:
        """Options of the coarse cell of the error indicator."""
        return ReductionOptions(
            min(0.5, _COARSER * self.tolerance),
            min(0.5, _COARSER * self.cubature_tolerance),
            None if self.modes is None else max(1, self.modes // 2),
        )


@dataclass(frozen=True)
class ReductionReport:
    """What a reduction is worth.

    Attributes:
        singular_values: Of all snapshots in the energy norm, falling; see `Basis`.
        modes: Modes that were kept.
        cells: Mesh cells of the cubature.
        all_cells: Mesh cells of the whole cell.
        training_error: Largest error of the flux along the paths of the training, relative to the
            largest flux of all paths; the largest over the blocks of the flux.
        held_out_error: The same along the paths that were not trained on; not a number without such.
        solves: Full solves of training and held-out paths.
    """

    singular_values: Array
    modes: int
    cells: int
    all_cells: int
    training_error: float
    held_out_error: float
    solves: int


@dataclass(frozen=True, eq=False)
class Level:
    """Modes and cubature of one reduced cell."""

    basis: Basis
    cubature: Cubature


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduced cell as data, from which micro models are made.

    Attributes:
        rve: The whole cell.
        options: How much was kept.
        fine: Modes and cubature.
        coarse: Fewer of both, for the estimate of the error; None without held-out paths.
        trained: Range of the training.
        indicator: The calibrated estimate; None without held-out paths.
        flux_scale: Largest norm of each block of the flux in the training, to which tolerances are relative.
        paths: Paths that were solved, those that were held out last.
        held_out: Number of paths that were held out.
        report: What it is worth.
    """

    rve: RVE
    options: ReductionOptions
    fine: Level
    coarse: Level | None
    trained: TrainedRange
    indicator: Indicator | None
    flux_scale: Array
    paths: tuple[Path, ...]
    held_out: int
    report: ReductionReport

    def model(self) -> ReducedRVE:
        """The reduced cell, which refuses gradients outside of the trained range."""
        return _model(self.rve, self.fine, self.trained)

    @cached_property
    def coarse_model(self) -> ReducedRVE:
        """The coarse cell of the error indicator.

        Raises:
            InputError: No path was held out, so there is no estimate of the error.
        """
        if self.coarse is None:
            raise InputError(
                "this reduction has no estimate of its error: hold paths out of the training to calibrate one"
            )
        return _model(self.rve, self.coarse, self.trained)


def reduce(
    rve: RVE,
    paths: Sequence[Path | SolvedPath],
    *,
    tolerance: float = ReductionOptions.tolerance,
    cubature_tolerance: float | None = None,
    modes: int | None = None,
    held_out: Sequence[Path | SolvedPath] | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
) -> Reduction:
    """Reduce a cell to what it does along paths; collective over `comm`, whose ranks share the paths.

    Args:
        rve: The cell.
        paths: Paths along which it is solved, or has been solved, beforehand.
        tolerance: Part of the fluctuations, in the energy norm, that the modes may leave out.
        cubature_tolerance: Part of the mesh cells' forces that the cubature may leave out, half of the
            tolerance by default; zero takes every mesh cell.
        modes: Largest number of modes.
        held_out: Paths that are solved but not trained on: they say how large the error is, and calibrate
            its estimate. By default every fourth one of `paths`; an empty list for none.
        comm: Ranks that share the paths that are to be solved. What follows is done on every one of them.

    Returns:
        The reduced cell, on all ranks.

    Raises:
        InputError: The cell cannot be reduced, an option is not admissible, or the training has no
            fluctuations.
        MicroSolveError: The cell could not be solved along a path.
    """
    options = ReductionOptions(
        tolerance, 0.5 * tolerance if cubature_tolerance is None else cubature_tolerance, modes
    )
    check_reducible(rve)
    if held_out is None:
        held_out = list(paths)[3::4]
        paths = [path for number, path in enumerate(paths) if number % 4 != 3]
    solved = train(rve, [*paths, *held_out], comm)
    return _reduction(rve, solved[: len(paths)], solved[len(paths) :], options)


def check_reducible(rve: RVE) -> None:
    """Refuse a cell that cannot be reduced, before anything is solved.

    Raises:
        InputError: The message says why, and what to do instead.
    """
    if rve.form.saddle_point or not rve.unknowns:
        raise InputError(
            f"the {rve.kinematics.name} of this cell cannot be reduced: velocities and pressures have no "
            "energy norm, and modes of one without those of the other are not stable. Where it is linear, "
            "linearized() is exact and cheaper than any reduction"
        )
    check_integrals(rve.form)


def _reduction(
    rve: RVE, training: Sequence[SolvedPath], held_out: Sequence[SolvedPath], options: ReductionOptions
) -> Reduction:
    """A reduced cell from what the cell did along paths, with the estimate of its error."""
    everything = [*training, *held_out]
    trained = trained_range(rve.form, everything)
    virgin = virgin_stiffness(rve.problem, rve.initial_state())
    scale = FluxScale.of(rve.kinematics, np.vstack([path.fluxes for path in everything]))
    fine = _level(rve, virgin, training, options)
    model = _model(rve, fine, trained)
    coarse, indicator = None, None
    if held_out:
        coarse = _level(rve, virgin, training, options.coarser())
        indicator = calibrated(model, _model(rve, coarse, trained), held_out, scale)
    return Reduction(
        rve=rve,
        options=options,
        fine=fine,
        coarse=coarse,
        trained=trained,
        indicator=indicator,
        flux_scale=scale.sizes,
        paths=tuple(path.taken for path in everything),
        held_out=len(held_out),
        report=ReductionReport(
            singular_values=fine.basis.singular_values,
            modes=fine.basis.size,
            cells=len(fine.cubature.cells),
            all_cells=_mesh_cells(rve),
            training_error=_largest_error(model, training, scale),
            held_out_error=_largest_error(model, held_out, scale),
            solves=sum(len(path.steps) for path in everything),
        ),
    )


def _level(rve: RVE, virgin: Virgin, training: Sequence[SolvedPath], options: ReductionOptions) -> Level:
    problem = rve.problem
    columns = np.hstack([path.states[1:, problem.layout.fluctuation].T for path in training])
    gradients = np.vstack([path.gradients for path in training])
    basis = proper_orthogonal_decomposition(
        columns, virgin, tolerance=options.tolerance, limit=options.modes, gradients=gradients
    )
    if options.cubature_tolerance == 0.0:
        return Level(basis, all_cells(_mesh_cells(rve)))
    return Level(
        basis, empirical_cubature(problem, basis, virgin, training, tolerance=options.cubature_tolerance)
    )


def _model(rve: RVE, level: Level, trained: TrainedRange) -> ReducedRVE:
    return ReducedRVE(rve, level.basis, level.cubature, trained)


def _mesh_cells(rve: RVE) -> int:
    return int(rve.cell.mesh.topology.index_map(rve.cell.dim).size_local)


def _largest_error(model: ReducedRVE, paths: Sequence[SolvedPath], scale: FluxScale) -> float:
    errors = [scale.norms(along(model, path) - path.fluxes).max() for path in paths]
    return float(max(errors)) if errors else float("nan")
