#!/bin/bash
#SBATCH --job-name=fe2
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --output=%x-%j.log
# A two-scale run on one node:  sbatch one_node.sh CASE.toml
# In a batch job the mpiexec of fe2's own installation takes the ranks from the allocation.
set -euo pipefail
export OMP_NUM_THREADS=1

mpiexec -n "$SLURM_NTASKS" fe2 run "${1:?CASE.toml}" --ranks "$SLURM_NTASKS" --resume
