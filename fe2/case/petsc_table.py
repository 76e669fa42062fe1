"""The PETSc options that a case file may set: each by its name, with the values that it takes.

PETSc's own options can load code (`pc_type = "python"`, `mat_mumps_ooc_...`), write files (every viewer and
monitor) and print. A file that somebody was handed must do none of it, so that nothing passes but what stands
here. Whoever starts the run is free to hand over any option with `fe2 run --petsc`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from fe2.table import Table


def _one_of(names: str) -> Any:
    return Literal[tuple(names.split())]


def _whole(low: int, high: int) -> Any:
    return Annotated[int, Field(ge=low, le=high)]


Size = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Threshold = Annotated[float, Field(ge=-1.0, lt=1.0)]
Count, Number = _whole(0, 1_000_000), _whole(1, 1_000_000)
Krylov = _one_of("preonly cg gmres fgmres lgmres minres bcgs bcgsl tfqmr cr gcr richardson")
Smoother = _one_of("richardson chebyshev preonly gmres cg")
Simple = _one_of("none jacobi pbjacobi bjacobi sor lu cholesky ilu icc")
Preconditioner = _one_of("none jacobi pbjacobi bjacobi sor lu cholesky ilu icc asm gamg hypre")
Package = _one_of("mumps petsc superlu_dist superlu umfpack klu cholmod strumpack pastix mkl_pardiso")
Ordering = _one_of("natural nd 1wd rcm qmd amd metisnd")
Shift = _one_of("none nonzero positive_definite inblocks")

_OPTIONS: dict[str, tuple[Any, str]] = {
    "snes_type": (_one_of("newtonls newtontr"), "Newton's method, with a line search or in a trust region."),
    "snes_rtol": (Share, "Norm of the residual relative to the forces at which the iteration ends."),
    "snes_atol": (Size, "Norm of the residual at which it ends in any case."),
    "snes_stol": (Size, "Relative length of a step at which it ends."),
    "snes_max_it": (Number, "Most iterations."),
    "snes_linesearch_type": (_one_of("bt basic l2 cp nleqerr secant none"), "Line search."),
    "snes_linesearch_order": (_whole(1, 3), "Order of its interpolation."),
    "snes_linesearch_max_it": (Number, "Most trials of a line search."),
    "snes_linesearch_damping": (Annotated[float, Field(gt=0.0, le=2.0)], "Length of its first trial."),
    "snes_linesearch_alpha": (Share, "Decrease of the residual that is enough for backtracking."),
    "snes_linesearch_maxlambda": (Positive, "Longest step."),
    "snes_linesearch_minlambda": (Share, "Shortest step."),
    "ksp_type": (Krylov, "Linear solver."),
    "ksp_rtol": (Share, "Its relative tolerance."),
    "ksp_atol": (Size, "Its absolute tolerance."),
    "ksp_divtol": (Positive, "Growth of the residual at which it gives up."),
    "ksp_max_it": (Number, "Most iterations of the linear solver."),
    "ksp_norm_type": (_one_of("none preconditioned unpreconditioned natural"), "Norm of its residual."),
    "ksp_pc_side": (_one_of("left right symmetric"), "Side of the preconditioner."),
    "ksp_gmres_restart": (Number, "Iterations of GMRES between two restarts."),
    "ksp_gmres_modifiedgramschmidt": (bool, "Whether GMRES orthogonalizes by modified Gram-Schmidt."),
    "ksp_richardson_scale": (Positive, "Factor of Richardson's iteration."),
    "pc_type": (Preconditioner, "Preconditioner or factorization."),
    "pc_factor_mat_solver_type": (Package, "Package that factorizes; `fe2 info` tells which are there."),
    "pc_factor_mat_ordering_type": (Ordering, "Ordering of PETSc's own factorizations."),
    "pc_factor_levels": (Count, "Levels of fill of an incomplete factorization."),
    "pc_factor_fill": (Annotated[float, Field(ge=1.0)], "Expected fill."),
    "pc_factor_shift_type": (Shift, "Shift of small pivots."),
    "pc_factor_shift_amount": (Size, "Amount of the shift."),
    "pc_factor_zeropivot": (Size, "Pivot that counts as zero."),
    "pc_sor_omega": (Annotated[float, Field(gt=0.0, lt=2.0)], "Relaxation of SOR."),
    "pc_sor_its": (Number, "Iterations of SOR."),
    "pc_bjacobi_blocks": (Number, "Blocks of block Jacobi."),
    "pc_asm_overlap": (Count, "Overlap of the additive Schwarz method."),
    "pc_asm_type": (_one_of("basic restrict interpolate none"), "Kind of the additive Schwarz method."),
    "sub_ksp_type": (Krylov, "Linear solver in the blocks."),
    "sub_pc_type": (Simple, "Preconditioner in the blocks."),
    "sub_pc_factor_levels": (Count, "Levels of fill in the blocks."),
    "pc_mg_cycle_type": (_one_of("v w"), "Cycle of multigrid."),
    "pc_gamg_type": (_one_of("agg classical"), "Kind of algebraic multigrid."),
    "pc_gamg_agg_nsmooths": (Count, "Smoothing steps of the prolongation."),
    "pc_gamg_threshold": (Threshold, "Strength below which couplings are dropped."),
    "pc_gamg_coarse_eq_limit": (Number, "Equations of the coarsest level."),
    "pc_gamg_aggressive_coarsening": (Count, "Levels that are coarsened aggressively."),
    "pc_gamg_reuse_interpolation": (bool, "Whether the prolongation is kept."),
    "mg_levels_ksp_type": (Smoother, "Smoother of multigrid."),
    "mg_levels_ksp_max_it": (Number, "Its iterations."),
    "mg_levels_pc_type": (Simple, "Its preconditioner."),
    "mg_coarse_pc_type": (Simple, "Solver of the coarsest level."),
    "pc_hypre_type": (_one_of("boomeramg"), "Preconditioner of hypre, where PETSc has it."),
    "pc_hypre_boomeramg_strong_threshold": (Fraction, "Strength of couplings in BoomerAMG."),
    "pc_hypre_boomeramg_max_iter": (Number, "Cycles of BoomerAMG."),
    "mat_mumps_icntl_6": (_whole(0, 7), "MUMPS: permutation to a zero-free diagonal."),
    "mat_mumps_icntl_7": (_whole(0, 7), "MUMPS: sequential ordering, 5 for METIS."),
    "mat_mumps_icntl_8": (_whole(-2, 77), "MUMPS: scaling."),
    "mat_mumps_icntl_10": (_whole(-100, 100), "MUMPS: steps of iterative refinement."),
    "mat_mumps_icntl_12": (_whole(0, 3), "MUMPS: ordering of symmetric matrices."),
    "mat_mumps_icntl_13": (_whole(-1, 1_000_000), "MUMPS: parallelism of the root."),
    "mat_mumps_icntl_14": (Count, "MUMPS: percent of memory beyond its estimate."),
    "mat_mumps_icntl_23": (Count, "MUMPS: megabytes that each rank may take."),
    "mat_mumps_icntl_24": (_whole(0, 1), "MUMPS: detection of zero pivots."),
    "mat_mumps_icntl_28": (_whole(0, 2), "MUMPS: sequential or parallel analysis."),
    "mat_mumps_icntl_29": (_whole(0, 2), "MUMPS: parallel ordering."),
    "mat_mumps_icntl_35": (_whole(0, 3), "MUMPS: factors of low rank by blocks."),
    "mat_mumps_icntl_36": (_whole(0, 1), "MUMPS: variant of these."),
    "mat_mumps_icntl_38": (_whole(0, 1000), "MUMPS: their estimated compression in per mille."),
    "mat_mumps_cntl_1": (Fraction, "MUMPS: relative threshold of pivots."),
    "mat_mumps_cntl_3": (float, "MUMPS: absolute threshold of zero pivots."),
    "mat_mumps_cntl_7": (Share, "MUMPS: precision of factors of low rank."),
}
"""Kind of the value and meaning of each option."""

_FIELDS: Any = {name: (kind | None, Field(None, description=text)) for name, (kind, text) in _OPTIONS.items()}
_Options: Any = create_model("_Options", __base__=Table, **_FIELDS)


class MacroSolver(_Options):
    """PETSc options of the macroscopic problem without their prefix, those that neither load code nor write.

    PETSc's manual says what they mean. Any other option is given with `fe2 run --petsc`.
    """

    advice: ClassVar[str] = (
        'other options of PETSc are given by whoever starts the run: fe2 run --petsc "-fe2_macro_..."'
    )

    @property
    def names_a_package(self) -> bool:
        """Whether something is named that PETSc may have been built without."""
        given = self.options()
        package = given.get("pc_factor_mat_solver_type", "petsc")
        return given.get("pc_type") == "hypre" or package not in ("petsc", "mumps")

    def options(self) -> dict[str, Any]:
        """The options that are set, by their name."""
        return self.model_dump(exclude_none=True)
