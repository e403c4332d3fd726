#!/usr/bin/env bash
# Trains the sixteen models of the digits again: assets/models/train_digits.sh [DIR]
# About ten minutes on two cores. Every setting is that of `train` for this data set and method
# (ddrs_core/training/recipes.py) and stands on the model's card as a full command line.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-my-models}
python=${PYTHON:-.venv/bin/python}

for sigma in 0.25 0.50; do
    for method in gaussian smoothadv macer consistency; do
        for kind in "" --data-dependent; do
            # shellcheck disable=SC2086
            "$python" -m ddrs_core train --dataset digits --method "$method" $kind \
                --sigma "$sigma" --seed 0 --resume --out "$out"
        done
    done
done
