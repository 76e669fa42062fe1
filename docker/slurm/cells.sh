#!/bin/bash
#SBATCH --job-name=fe2-cells
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=00:30:00
#SBATCH --output=%x-%A_%a.log
# Effective properties of many cells, each a task of the array:  sbatch --array=0-9 cells.sh FOLDER
# Task k takes the k-th cell file of the folder and writes its properties beside it, as JSON.
set -euo pipefail
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"

files=("${1:?FOLDER}"/*.toml)
file=${files[$SLURM_ARRAY_TASK_ID]:?the folder has no such file}
fe2 homogenize "$file" --quiet --output "${file%.toml}.json"
