#!/bin/bash
# Makes 0.tar.xz with the program as it was at commit 03b6231; see README.md.
#     bash make.sh CHECKOUT_OF_03b6231 [PYTHON]
set -eu
cd "$1"
python=${2:-python}
top=/tmp/ddrs-old-data
rm -rf $top && mkdir -p $top/pictures
export DDRS_HOME=$top/home OMP_NUM_THREADS=1
unset DDRS_DATABASE_URL DDRS_DATA_DIR DDRS_ALLOWED_DIRS || true
run() { $python -m ddrs_core "$@" --quiet --device cpu; }
digits="--dataset digits --model digits-gaussian-0.50 --sigma 0.5"

# A data set and a model of the user's own, and a row for an upload.
$python - $top <<'PYTHON'
import sys
from pathlib import Path
import torch
from PIL import Image
from ddrs_core.data import load_dataset
from ddrs_core.models import load_model, save_checkpoint, weights_digest
from ddrs_core.models.classifier import with_card
from ddrs_core.store import open_store

digits = load_dataset("digits", "test")
for index in range(40):
    folder = Path(sys.argv[1], "pictures", digits.info.class_names[digits.label(index)])
    folder.mkdir(exist_ok=True)
    pixels = (digits.read([index]).images[0, 0] * 255).round().byte().numpy()
    Image.fromarray(pixels).save(folder / f"{index}.png")
open_store().use_upload("ada", "picture", "cat")
model = load_model("digits-gaussian-0.50", "cpu")
with torch.no_grad():
    for weight in model.network.parameters():  # few different numbers, which compress well
        weight.copy_((weight * 32).round() / 32)
with_card(model, name="my-model", digest=weights_digest(model.network))
save_checkpoint(model, Path(sys.argv[1]))
PYTHON
$python -m ddrs_core datasets add $top/pictures --name my-digits
$python -m ddrs_core models add $top/my-model.safetensors --name my-model

# Certification runs: finished (fixed), finished (two sigmas, chosen for each image), paused; and a log.
run certify $digits --method fixed --n 1000 --limit 8 --record "Fixed"
run certify --dataset digits --model digits-gaussian-0.50 --method ds --sigma 0.25 0.5 --n 500 \
    --strategy search --samples 20 --steps 2 --guard 20 --limit 6 --record "Two settings"
$python - <<'PYTHON'
from ddrs_core.runs.certify_config import CertifyConfig, Method
from ddrs_core.runs.recorded import record_run, work_on
from ddrs_core.store import open_store

store = open_store()
config = CertifyConfig(
    "my-digits", "my-model", Method.FIXED, 0.25, n=1000, limit=10, device="cpu"
)
steps = work_on(store, record_run(store, [config], title="Paused", owner="ada").id)
while next(steps).done < 4:
    pass
steps.close()
PYTHON
run certify $digits --method fixed --n 1000 --limit 5 --out $top/home/fixed.tsv

# A memory bank with a budget.
run memory add --bank my-bank --budget total --total-alpha 0.05 --planned 100 \
    $digits --n 1000 --limit 12

# Training runs that a page started: one finished, one stopped.
$python - <<'PYTHON'
import time
from ddrs_core.jobs import training_runs
from ddrs_core.training import recipe

# The weights stay as they are, so that all models of this folder compress well together.
still = {"init": "my-model", "clip": 1e-44, "weight_decay": 0.0}
def wait(run, done):
    while not done(run := training_runs.get_run(run.id)):
        time.sleep(0.1)
    return run

finished = recipe("digits", "digits_cnn", "gaussian", 0.5, epochs=2, data_dependent=True, **still)
run = wait(training_runs.start_run(finished, "ada", device="cpu"), lambda r: not r.state.is_moving)
assert run.state is training_runs.RunState.FINISHED, run
stopped = recipe("digits", "digits_cnn", "gaussian", 0.25, epochs=30, **still)
run = wait(
    training_runs.start_run(stopped, "ada", device="cpu"),
    lambda r: r.progress is not None and r.progress.epoch >= 2,
)
training_runs.stop_run(run)
run = wait(run, lambda r: not r.state.is_moving)
assert run.state is training_runs.RunState.STOPPED, run
PYTHON

# The write-ahead log goes into the file; locks and TensorBoard's copies of the log are left out.
$python - $top <<'PYTHON'
import sqlite3
import sys
connection = sqlite3.connect(f"{sys.argv[1]}/home/ddrs.sqlite3")
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
connection.execute("VACUUM")
connection.close()
PYTHON
cd $top
find . -name "*.lock" -delete
find . -name tensorboard -prune -exec rm -r {} +
tar --sort=name --owner=0 --group=0 -cf - home pictures | xz -9e > 0.tar.xz && ls -la 0.tar.xz
