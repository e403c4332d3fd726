#!/usr/bin/env bash
# Trains the eight CIFAR-10 models again: assets/models/train_cifar10.sh [DIR]
# Needs CIFAR-10 (DDRS_DATA_DIR, or `datasets download cifar10`); may be stopped and started again.
# The Gaussian model at 0.25 is trained from scratch; the others go on from its weights.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-my-models}
python=${PYTHON:-.venv/bin/python}

train() { # METHOD SIGMA OPTIONS...
    local method=$1 sigma=$2 ds=""
    shift 2
    case " $* " in *" --data-dependent "*) ds=-ds2 ;; esac
    "$python" -m ddrs_core train --dataset cifar10 --architecture cifar_resnet20 \
        --method "$method" --sigma "$sigma" --name "cifar10-resnet20-$method$ds-$sigma" \
        --seed 0 --resume --out "$out" "$@"
}
base="--init $out/cifar10-resnet20-gaussian-0.25.safetensors --schedule cosine --lr 0.05"

train gaussian 0.25 --epochs 16
train gaussian 0.12 $base --epochs 4
train gaussian 0.50 $base --epochs 8
train gaussian 0.25 $base --epochs 5 --data-dependent --sigma-samples 2
train smoothadv 0.25 $base --epochs 3 --attack-steps 2 --copies 1 --attack-warmup 1
train smoothadv 0.25 $base --epochs 3 --attack-steps 2 --copies 1 --attack-warmup 1 \
    --data-dependent --sigma-samples 2
train macer 0.25 $base --epochs 2 --copies 4 --warmup 0.1
train macer 0.25 $base --epochs 2 --copies 4 --warmup 0.1 --data-dependent --sigma-samples 2
