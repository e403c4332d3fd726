#!/usr/bin/env bash
# Trains the nine CIFAR-10 models again: assets/models/train_cifar10.sh [DIR]
# Needs CIFAR-10 (DDRS_DATA_DIR, or `datasets download cifar10`); may be stopped and started again.
# The Gaussian model at 0.25 is trained from scratch; the others go on from its weights,
# consistency from those of the Gaussian model at 0.50; it is compiled, which needs a C++ compiler.
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
from="--init $out/cifar10-resnet20-gaussian-0.25.safetensors --schedule cosine --lr 0.05"
attack="--epochs 3 --attack-steps 2 --copies 1 --attack-warmup 1"
radius="--epochs 2 --copies 4 --warmup 0.1 --lr 0.03"
own_sigma="--data-dependent --sigma-samples 2 --sigma-lr 0.03"

# shellcheck disable=SC2086
{
    train gaussian 0.25 --epochs 16
    train gaussian 0.12 $from --epochs 2
    train gaussian 0.50 $from --epochs 8
    train smoothadv 0.25 $from $attack
    train macer 0.25 $from $radius
    train gaussian 0.25 $from --epochs 4 $own_sigma
    train smoothadv 0.25 $from $attack $own_sigma
    train macer 0.25 $from $radius $own_sigma --epochs 1
    train consistency 0.50 --init "$out/cifar10-resnet20-gaussian-0.50.safetensors" \
        --lr 0.1 --epochs 24 --compile
}
