#!/usr/bin/env bash
# The study in results/: networks of three sizes on random images, so many of them that every pass takes about a second or
# more, each pass three times. An interrupted study goes on. Usage: scripts/own_study.sh [folder]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
folder="${1:-studies/own}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # on few CPUs, two threads wait for each other as soon as anything else runs
common=(--weights random --accuracy published --repeats 3 --warmup-batches 1 --idle-seconds 2)

# study NAME IMAGES MODELS... -- BACKENDS...
study() {
    local name="$1" images="$2" models=()
    shift 2
    while [ "$1" != -- ]; do models+=("$1"); shift; done
    shift
    if [ -e "$folder/$name/study.json" ]; then
        "$VENV/bin/python" -m mlee.sweep --resume --output-dir "$folder/$name"
    else
        "$VENV/bin/python" -m mlee.sweep --models "${models[@]}" --backends "$@" --batch-sizes 8 --seed 2026 \
            --data-path "synthetic:$images" --output-dir "$folder/$name" -- "${common[@]}"
    fi
    "$VENV/bin/python" merge_results.py --directory "$folder/$name" --output-agglog-dir results
}

all=(pytorch tensorflow onnx_pytorch onnx_tensorflow)
study small 160 MobileNetV2 MobileNetV3Small MobileNetV3Large EfficientNetB0 -- "${all[@]}"
study lite 64 EfficientNetLite0 EfficientNetLite1 EfficientNetLite2 RegNetX400MF -- pytorch onnx_pytorch
study medium 24 ResNet50 DenseNet121 InceptionV3 -- "${all[@]}"
# The export of VGG16 from TensorFlow takes more than the 24 GiB of that machine.
study large 16 VGG16 ResNet101 -- pytorch tensorflow onnx_pytorch
