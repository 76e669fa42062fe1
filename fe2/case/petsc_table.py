"""The PETSc options that a case file may set: each by its name, with the values that it takes.

PETSc's own options can load code (`pc_type = "python"`, `mat_mumps_ooc_...`), write files (every viewer and
monitor) and print. A file that somebody was handed must do none of it, so that nothing passes but what stands
here. Whoever starts the run is free to hand over any option with `fe2 run --petsc`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fe2.table import Table

Size = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Number = Annotated[int, Field(ge=1, le=1_000_000)]
Krylov = Literal[
    "preonly",
    "cg",
    "gmres",
    "fgmres",
    "lgmres",
    "minres",
    "bcgs",
    "bcgsl",
    "tfqmr",
    "cr",
    "gcr",
    "richardson",
]
Smoother = Literal["richardson", "chebyshev", "preonly", "gmres", "cg"]
Simple = Literal["none", "jacobi", "pbjacobi", "bjacobi", "sor", "lu", "cholesky", "ilu", "icc"]
Preconditioner = Literal[Simple, "asm", "gamg", "hypre"]
Package = Literal[
    "mumps",
    "petsc",
    "superlu_dist",
    "superlu",
    "umfpack",
    "klu",
    "cholmod",
    "strumpack",
    "pastix",
    "mkl_pardiso",
]
Ordering = Literal["natural", "nd", "1wd", "rcm", "qmd", "amd", "metisnd"]
Shift = Literal["none", "nonzero", "positive_definite", "inblocks"]


class MacroSolver(Table):
    """PETSc options of the macroscopic problem without their prefix, those that neither load code nor write.

    PETSc's manual says what they mean. Any other option is given with `fe2 run --petsc`.
    """

    advice: ClassVar[str] = (
        'other options of PETSc are given by whoever starts the run: fe2 run --petsc "-fe2_macro_..."'
    )

    snes_type: Literal["newtonls", "newtontr"] | None = None
    """Newton's method, with a line search or in a trust region."""
    snes_rtol: Share | None = None
    """Norm of the residual relative to the forces at which the iteration ends."""
    snes_atol: Size | None = None
    """Norm of the residual at which it ends in any case."""
    snes_stol: Size | None = None
    """Relative length of a step at which it ends."""
    snes_max_it: Number | None = None
    """Most iterations."""
    snes_linesearch_type: Literal["bt", "basic", "l2", "cp", "nleqerr", "secant", "none"] | None = None
    """Line search."""
    snes_linesearch_order: Annotated[int, Field(ge=1, le=3)] | None = None
    """Order of its interpolation."""
    snes_linesearch_max_it: Number | None = None
    """Most trials of a line search."""
    snes_linesearch_damping: Annotated[float, Field(gt=0.0, le=2.0)] | None = None
    """Length of its first trial."""
    snes_linesearch_alpha: Share | None = None
    """Decrease of the residual that is enough for backtracking."""
    snes_linesearch_maxlambda: Positive | None = None
    """Longest step."""
    snes_linesearch_minlambda: Share | None = None
    """Shortest step."""
    ksp_type: Krylov | None = None
    """Linear solver."""
    ksp_rtol: Share | None = None
    """Its relative tolerance."""
    ksp_atol: Size | None = None
    """Its absolute tolerance."""
    ksp_divtol: Positive | None = None
    """Growth of the residual at which it gives up."""
    ksp_max_it: Number | None = None
    """Most iterations of the linear solver."""
    ksp_norm_type: Literal["none", "preconditioned", "unpreconditioned", "natural"] | None = None
    """Norm of its residual."""
    ksp_pc_side: Literal["left", "right", "symmetric"] | None = None
    """Side of the preconditioner."""
    ksp_gmres_restart: Number | None = None
    """Iterations of GMRES between two restarts."""
    ksp_gmres_modifiedgramschmidt: bool | None = None
    """Whether GMRES orthogonalizes by the modified Gram-Schmidt process."""
    ksp_richardson_scale: Positive | None = None
    """Factor of Richardson's iteration."""
    pc_type: Preconditioner | None = None
    """Preconditioner or factorization."""
    pc_factor_mat_solver_type: Package | None = None
    """Package that factorizes; `fe2 info` tells which are there."""
    pc_factor_mat_ordering_type: Ordering | None = None
    """Ordering of PETSc's own factorizations."""
    pc_factor_levels: Count | None = None
    """Levels of fill of an incomplete factorization."""
    pc_factor_fill: Annotated[float, Field(ge=1.0)] | None = None
    """Expected fill."""
    pc_factor_shift_type: Shift | None = None
    """Shift of small pivots."""
    pc_factor_shift_amount: Size | None = None
    """Amount of the shift."""
    pc_factor_zeropivot: Size | None = None
    """Pivot that counts as zero."""
    pc_sor_omega: Annotated[float, Field(gt=0.0, lt=2.0)] | None = None
    """Relaxation of SOR."""
    pc_sor_its: Number | None = None
    """Iterations of SOR."""
    pc_bjacobi_blocks: Number | None = None
    """Blocks of block Jacobi."""
    pc_asm_overlap: Count | None = None
    """Overlap of the additive Schwarz method."""
    pc_asm_type: Literal["basic", "restrict", "interpolate", "none"] | None = None
    """Kind of the additive Schwarz method."""
    sub_ksp_type: Krylov | None = None
    """Linear solver in the blocks."""
    sub_pc_type: Simple | None = None
    """Preconditioner in the blocks."""
    sub_pc_factor_levels: Count | None = None
    """Levels of fill in the blocks."""
    pc_mg_cycle_type: Literal["v", "w"] | None = None
    """Cycle of multigrid."""
    pc_gamg_type: Literal["agg", "classical"] | None = None
    """Kind of algebraic multigrid."""
    pc_gamg_agg_nsmooths: Count | None = None
    """Smoothing steps of the prolongation."""
    pc_gamg_threshold: Annotated[float, Field(ge=-1.0, lt=1.0)] | None = None
    """Strength below which couplings are dropped."""
    pc_gamg_coarse_eq_limit: Number | None = None
    """Equations of the coarsest level."""
    pc_gamg_aggressive_coarsening: Count | None = None
    """Levels that are coarsened aggressively."""
    pc_gamg_reuse_interpolation: bool | None = None
    """Whether the prolongation is kept."""
    mg_levels_ksp_type: Smoother | None = None
    """Smoother of multigrid."""
    mg_levels_ksp_max_it: Number | None = None
    """Its iterations."""
    mg_levels_pc_type: Simple | None = None
    """Its preconditioner."""
    mg_coarse_pc_type: Simple | None = None
    """Solver of the coarsest level."""
    pc_hypre_type: Literal["boomeramg"] | None = None
    """Preconditioner of hypre, where PETSc has it."""
    pc_hypre_boomeramg_strong_threshold: Fraction | None = None
    """Strength of couplings in BoomerAMG."""
    pc_hypre_boomeramg_max_iter: Number | None = None
    """Cycles of BoomerAMG."""
    mat_mumps_icntl_6: Annotated[int, Field(ge=0, le=7)] | None = None
    """MUMPS: permutation to a zero-free diagonal."""
    mat_mumps_icntl_7: Annotated[int, Field(ge=0, le=7)] | None = None
    """MUMPS: sequential ordering, 5 for METIS."""
    mat_mumps_icntl_8: Annotated[int, Field(ge=-2, le=77)] | None = None
    """MUMPS: scaling."""
    mat_mumps_icntl_10: Annotated[int, Field(ge=-100, le=100)] | None = None
    """MUMPS: steps of iterative refinement."""
    mat_mumps_icntl_12: Annotated[int, Field(ge=0, le=3)] | None = None
    """MUMPS: ordering of symmetric matrices."""
    mat_mumps_icntl_13: Annotated[int, Field(ge=-1, le=1_000_000)] | None = None
    """MUMPS: parallelism of the root."""
    mat_mumps_icntl_14: Count | None = None
    """MUMPS: percent of memory beyond its estimate."""
    mat_mumps_icntl_23: Count | None = None
    """MUMPS: megabytes that each rank may take."""
    mat_mumps_icntl_24: Annotated[int, Field(ge=0, le=1)] | None = None
    """MUMPS: detection of zero pivots."""
    mat_mumps_icntl_28: Annotated[int, Field(ge=0, le=2)] | None = None
    """MUMPS: sequential or parallel analysis."""
    mat_mumps_icntl_29: Annotated[int, Field(ge=0, le=2)] | None = None
    """MUMPS: parallel ordering."""
    mat_mumps_icntl_35: Annotated[int, Field(ge=0, le=3)] | None = None
    """MUMPS: factors of low rank by blocks."""
    mat_mumps_icntl_36: Annotated[int, Field(ge=0, le=1)] | None = None
    """MUMPS: variant of these."""
    mat_mumps_icntl_38: Annotated[int, Field(ge=0, le=1000)] | None = None
    """MUMPS: their estimated compression in per mille."""
    mat_mumps_cntl_1: Fraction | None = None
    """MUMPS: relative threshold of pivots."""
    mat_mumps_cntl_3: float | None = None
    """MUMPS: absolute threshold of zero pivots."""
    mat_mumps_cntl_7: Share | None = None
    """MUMPS: precision of factors of low rank."""

    @property
    def names_a_package(self) -> bool:
        """Whether something is named that PETSc may have been built without."""
        return self.pc_type == "hypre" or self.pc_factor_mat_solver_type not in (None, "petsc", "mumps")

    def options(self) -> dict[str, Any]:
        """The options that are set, by their name."""
        return self.model_dump(exclude_none=True)
