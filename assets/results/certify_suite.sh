#!/usr/bin/env bash
# Certifies every model of a suite at its training sigma and data-dependent, on 100 test images with
# N = 10,000, and prints the table of assets/results/README.md:
#     assets/results/certify_suite.sh digits|cifar10 [MODEL...]
# An own sigma stays within 1.5 times the training sigma: under much stronger noise networks that were
# trained data-dependently give every image the same class, whose radii then mean nothing.
# Logs go to assets/results/first; may be stopped and started again.
set -euo pipefail
cd "$(dirname "$0")/../.."
dataset=$1
shift
python=${PYTHON:-.venv/bin/python}
case $dataset in
digits) images="--skip 5" ;;                # 100 of the 500 test images
cifar10) images="--skip 10 --limit 100" ;;  # every 10th of the first 1,000, the lossless ones
*) echo "digits or cifar10, not $dataset" >&2 && exit 2 ;;
esac
if [ $# -eq 0 ]; then # by method, then by sigma, one sigma for all images in training first
    for method in gaussian smoothadv macer; do
        for sigma in 0.12 0.25 0.50; do
            for kind in "" -ds2; do
                for file in assets/models/"$dataset"*-"$method$kind-$sigma".safetensors; do
                    [ ! -e "$file" ] || set -- "$@" "$(basename "$file" .safetensors)"
                done
            done
        done
    done
fi

mkdir -p assets/results/first
logs=()
for model in "$@"; do
    most=$(awk "BEGIN { print 1.5 * ${model##*-} }")
    for method in fixed "ds --sigma-max $most"; do
        log=assets/results/first/$model-${method%% *}.tsv
        # shellcheck disable=SC2086
        "$python" -m ddrs_core certify --dataset "$dataset" --model "$model" --method $method \
            $images --n0 100 --n 10000 --alpha 0.001 --seed 0 --resume --out "$log" >&2
        logs+=("$log")
    done
done
"$python" -m ddrs_core report "${logs[@]}"
