#!/bin/bash
#SBATCH --job-name=fe2
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
# A two-scale run on one node:  sbatch one_node.sh CASE.toml
# srun hands Slurm's signals to the ranks: a job that is cancelled or put back into the queue writes a checkpoint first.
# Under mpiexec, which works in a batch job too, they end without one.
set -euo pipefail
export OMP_NUM_THREADS=1
# UCX, MPICH's first choice for the network, was seen to hang; libfabric was not. See docs/clusters.md.
export MPIR_CVAR_CH4_NETMOD=ofi

srun --mpi=pmi2 --kill-on-bad-exit=1 fe2 run "${1:?CASE.toml}" --ranks "$SLURM_NTASKS" --resume
