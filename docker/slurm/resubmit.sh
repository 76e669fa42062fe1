#!/bin/bash
#SBATCH --job-name=fe2
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
# A run that is longer than the time limit:  sbatch resubmit.sh CASE.toml
# Five minutes before the limit Slurm sends SIGUSR1 to the ranks. They write a checkpoint and end with the status 75, and
# the job goes back into the queue; when it starts again, the run goes on from there.
set -uo pipefail
export OMP_NUM_THREADS=1
# UCX, MPICH's first choice for the network, was seen to hang; libfabric was not. See docs/clusters.md.
export MPIR_CVAR_CH4_NETMOD=ofi

srun --mpi=pmi2 --kill-on-bad-exit=1 fe2 run "${1:?CASE.toml}" --ranks "$SLURM_NTASKS" --resume
status=$?
if [ "$status" -eq 75 ]; then
  exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
