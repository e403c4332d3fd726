#!/usr/bin/env bash
# Certifies the models of a suite at the guarantee of N = 100,000, at their training sigma and
# data-dependent, and prints the table of assets/results/README.md:
#     assets/results/study.sh digits|cifar10 [MODEL...]
# Votes are drawn until the place among the radii 0, 0.25, ... is settled. An own sigma stays within
# 1.5 times the training sigma. EVERY sets which of the first 1,000 CIFAR-10 test images are taken
# (2: 500 images), LIMIT how many of those at most. Logs go to assets/results/study; may be stopped and
# started again, also with a larger LIMIT.
set -euo pipefail
cd "$(dirname "$0")/../.."
dataset=$1
shift
python=${PYTHON:-.venv/bin/python}
every=${EVERY:-2}
case $dataset in
digits) images="--skip 1" ;;                                              # the 500 test images
cifar10) images="--skip $every --limit ${LIMIT:-$(((1000 + every - 1) / every))}" ;; # lossless ones
*) echo "digits or cifar10, not $dataset" >&2 && exit 2 ;;
esac
if [ $# -eq 0 ]; then
    for method in gaussian smoothadv macer; do
        for sigma in 0.25 0.50 0.12; do
            for kind in "" -ds2; do
                for file in assets/models/"$dataset"*-"$method$kind-$sigma".safetensors; do
                    [ ! -e "$file" ] || set -- "$@" "$(basename "$file" .safetensors)"
                done
            done
        done
    done
fi

out=assets/results/study
logs=()
for model in "$@"; do
    sigma=${model##*-}
    most=$(awk "BEGIN { print 1.5 * $sigma }")
    # shellcheck disable=SC2086
    "$python" -m ddrs_core certify --dataset "$dataset" --model "$model" --method fixed ds \
        --sigma "$sigma" --sigma-max "$most" $images --n0 100 --n 100000 --adaptive \
        --alpha 0.001 --seed 0 --resume --out "$out" >&2
    short=$(awk "BEGIN { print 1 * $sigma }")
    logs+=("$out/$model-fixed-$short.tsv" "$out/$model-ds-$short.tsv")
done
"$python" -m ddrs_core report "${logs[@]}"
