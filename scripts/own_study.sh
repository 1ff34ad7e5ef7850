#!/usr/bin/env bash
# The study in results/: networks on random images, more of them for small networks so that a pass lasts, each pass three
# times; small networks first. An interrupted study goes on. Usage: scripts/own_study.sh [folder]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"
folder="${1:-studies/own}"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # on few CPUs, two threads wait for each other as soon as anything else runs
common=(--weights random --accuracy published --repeats 3 --warmup-batches 1 --idle-seconds 2)

failed=0 # what fails is named by its sweep, and stops nothing; Ctrl-C stops everything

sweep() {
    local code=0
    "$VENV/bin/python" -m mlee.sweep "$@" || code=$?
    if [ "$code" = 130 ]; then exit 130; fi
    if [ "$code" != 0 ]; then failed=1; fi
}

# study NAME IMAGES MODELS... -- BACKENDS...
study() {
    local name="$1" images="$2" models=()
    shift 2
    while [ "$1" != -- ]; do models+=("$1"); shift; done
    shift
    if [ -e "$folder/$name/study.json" ]; then
        sweep --resume --output-dir "$folder/$name"
    else
        sweep --models "${models[@]}" --backends "$@" --batch-sizes 8 --seed 2026 \
            --data-path "synthetic:$images" --output-dir "$folder/$name" -- "${common[@]}"
    fi
    "$VENV/bin/python" merge_results.py --directory "$folder/$name" --output-agglog-dir results || failed=1
}

all=(pytorch tensorflow onnx_pytorch onnx_tensorflow)
study tiny 160 MobileNetV3Small shufflenet_v2_x0_5 shufflenet_v2_x1_0 mnasnet0_5 -- "${all[@]}"
study light 64 MobileNetV2 MobileNetV3Large MobileNet NASNetMobile EfficientNetB0 EfficientNetLite0 EfficientNetLite1 \
    RegNetX400MF regnet_y_400mf mnasnet0_75 mnasnet1_0 mnasnet1_3 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 \
    squeezenet1_1 alexnet regnet_x_800mf regnet_y_800mf EfficientNetV2B0 -- "${all[@]}"
study medium 24 ResNet50 DenseNet121 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetLite2 EfficientNetV2B1 \
    EfficientNetV2B2 EfficientNetV2B3 -- "${all[@]}"
study large 16 ResNet101 ResNet50V2 ResNet101V2 ResNext50 DenseNet169 DenseNet201 InceptionV3 EfficientNetB4 \
    RegNetX8GF -- "${all[@]}"
# The export of VGG16 from TensorFlow takes more than the 24 GiB of that machine.
study vgg 8 VGG16 VGG19 -- pytorch tensorflow onnx_pytorch
study torch_medium 24 googlenet resnet18 resnet34 regnet_x_1_6gf regnet_y_1_6gf regnet_x_3_2gf regnet_y_3_2gf -- \
    pytorch onnx_pytorch
study torch_large 16 vit_b_32 swin_t swin_v2_t maxvit_t convnext_tiny vgg11 vgg11_bn densenet161 regnet_y_8gf -- \
    pytorch onnx_pytorch
study larger 8 ResNet152 ResNext101 EfficientNetB5 -- "${all[@]}"
study larger_keras 8 ResNet152V2 EfficientNetV2S Xception InceptionResNetV2 -- "${all[@]}"
study torch_larger 8 convnext_small convnext_base swin_s swin_b swin_v2_s swin_v2_b vit_b_16 vit_l_32 vgg13 vgg13_bn \
    vgg16_bn vgg19_bn wide_resnet50_2 resnext101_64x4d regnet_x_16gf -- pytorch onnx_pytorch
study largest 8 EfficientNetB6 EfficientNetB7 RegNetX32GF NASNetLarge wide_resnet101_2 -- "${all[@]}"
exit "$failed"
