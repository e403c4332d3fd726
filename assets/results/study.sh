#!/usr/bin/env bash
# Certifies the models of a suite at their training sigma and data-dependent, and prints the tables
# of assets/results/README.md:
#     assets/results/study.sh digits|cifar10 [MODEL...]
# Certificates are one-sided, as in the literature; tight rows are the same votes, two-sided. The
# guarantee is that of N = 100,000; votes are drawn until the place among the radii 0, 0.25, ...
# is settled. Logs go to assets/results/study; it may be stopped and started again.
#     EVERY=K   every K-th of the first 1,000 CIFAR-10 test images, the lossless ones (2: 500 images)
#     LIMIT=L   at most L of them; a larger one later goes on with the same logs
#     METHODS=ds  without the models' training sigma; the *-ds2-* models are then compared with
#               the training sigma of those that they go with
#     N=N       exactly N votes for every image
#     OUT=DIR   another folder for the logs
set -euo pipefail
cd "$(dirname "$0")/../.."
dataset=$1
shift
python=${PYTHON:-.venv/bin/python}
out=${OUT:-assets/results/study}
every=${EVERY:-2}
read -ra methods <<<"${METHODS:-fixed ds}"
case $dataset in
digits) images="--skip 1" ;; # the 500 test images
cifar10) images="--skip $every --limit ${LIMIT:-$(((1000 + every - 1) / every))}" ;;
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

votes="--n ${N:-100000}"
[ -n "${N:-}" ] || votes="$votes --adaptive"
mkdir -p "$out"
logs=()
pairs=()
strategy="--preset guarded" # of the logs in assets/results/study
[[ " ${methods[*]} " == *" ds "* ]] || strategy=
for model in "$@"; do
    sigma=$(awk "BEGIN { print 1 * ${model##*-} }")
    # shellcheck disable=SC2086
    "$python" -m ddrs_core certify --dataset "$dataset" --model "$model" --method "${methods[@]}" \
        $strategy --sigma "${model##*-}" $images --n0 100 $votes --alpha 0.001 --bound one-sided \
        --seed 0 --resume --out "$out" >&2
    for method in "${methods[@]}"; do
        logs+=("$out/$model-$method-$sigma.tsv")
    done
    fixed=$out/$model-fixed-$sigma.tsv
    [ ${#methods[@]} -gt 1 ] || fixed=$out/${model/-ds2-/-}-fixed-$sigma.tsv
    [ ! -e "$fixed" ] || pairs+=("$out/$model-ds-$sigma.tsv $fixed")
done
"$python" -m ddrs_core report "${logs[@]}" --bound two-sided
for pair in "${pairs[@]}"; do # own sigmas against one for all, image by image
    read -r own fixed <<<"$pair"
    printf '\n%s against %s\n' "$(basename "$own" .tsv)" "$(basename "$fixed" .tsv)"
    "$python" -m ddrs_core report "$own" --against "$fixed" | sed 1,4d
done
