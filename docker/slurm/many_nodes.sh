#!/bin/bash
#SBATCH --job-name=fe2
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
# A two-scale run on several nodes:  sbatch many_nodes.sh CASE.toml
# --mpi=pmi2 is for MPICH, which the wheels bring. Without it every task would be a run of its own, which
# --ranks refuses.
set -euo pipefail
export OMP_NUM_THREADS=1
# UCX, MPICH's first choice for the network, was seen to hang; libfabric was not. See docs/clusters.md.
export MPIR_CVAR_CH4_NETMOD=ofi

srun --mpi=pmi2 --kill-on-bad-exit=1 fe2 run "${1:?CASE.toml}" --ranks "$SLURM_NTASKS" --resume
