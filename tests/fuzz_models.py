"""Random model files and configs of trainings."""

import json
import random
import struct
from functools import cache
from pathlib import Path

import torch
from fuzz_nasty import NUMBERS, json_value, mutate_bytes, mutate_json_file, value
from fuzz_tables import some
from safetensors.torch import save_file

VIT = "vit_tiny_patch16_224"


_SMALL = {
    "architecture_options": {"depth": 1, "embed_dim": 32, "num_heads": 2},
    "crop_size_px": 32,
    "local_crop_size_px": 16,
    "num_local_crops": 1,
    "epochs": 1,
    "steps_per_epoch": 1,
    "batch_size": 2,
    "num_outputs": 8,
    "head_hidden": 16,
    "head_bottleneck": 8,
}


@cache
def _state() -> dict[str, torch.Tensor]:
    import timm

    network = timm.create_model(VIT, num_classes=0, depth=1)
    return dict(network.state_dict())


def weights(rng: random.Random, folder: Path) -> list[str]:
    state = dict(_state())
    for _ in range(rng.choice((0, 1, 1, 2))):
        name = rng.choice([*state, "pos_embed", "patch_embed.proj.weight"])
        tensor = state.get(name, torch.zeros(1))
        match rng.randrange(9):
            case 0:
                state.pop(name, None)
            case 1:
                state[name] = torch.full_like(tensor, rng.choice((float("nan"), float("inf"))))
            case 2:
                state[name] = torch.zeros([rng.choice((0, 1, 2, 7)) for _ in tensor.shape])
            case 3:
                state[name] = torch.zeros(rng.choice(((), (0,), (1, 0, 192), (1, 3, 3, 3, 3))))
            case 4:
                state[value(rng)] = tensor.clone()
            case 5:
                state[name] = tensor.to(rng.choice((torch.int8, torch.bool, torch.complex64)))
            case 6:
                state[name] = tensor.reshape(-1)
            case 7:
                state[name] = torch.zeros(1).expand(10**6 if tensor.dim() == 1 else 3)
            case _:
                state[name] = tensor.to_sparse() if tensor.dim() == 2 else tensor.half()
    path = folder / rng.choice(("w.pth", "w.pth", "w.safetensors", "w.pt", "w.bin"))
    document: object = state
    match rng.randrange(10):
        case 0:
            itself: dict[str, object] = {}
            itself[rng.choice(("model", "teacher", "state_dict", "x"))] = itself
            document = itself
        case 1:
            document = rng.choice(({}, [], 1, None, "x", {"model": None}, {"model": {}}, {1: 2}))
        case 2:
            document = {rng.choice(("model", "teacher", "state_dict")): state, "epoch": 3}
        case 3:
            deep: object = state
            for _ in range(rng.choice((5, 200))):
                deep = {"model": deep}
            document = deep
        case 4:
            document = {1: torch.zeros(2), None: torch.zeros(3), ("a",): torch.zeros(1)}
    if path.suffix == ".safetensors":
        try:
            save_file({str(k): v.contiguous().clone() for k, v in state.items()}, path)
        except Exception:  # of mutated tensors
            path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    else:
        torch.save(document, path)
    draw = rng.random()
    if draw < 0.2:
        data = path.read_bytes()
        path.write_bytes(mutate_bytes(rng, data[:400]) + data[400:])
    elif draw < 0.3:
        head = json.dumps({"a": json_value(rng), "__metadata__": json_value(rng)}).encode()
        path.write_bytes(
            rng.choice(
                (
                    b"",
                    b"\0",
                    b"PK\3\4",
                    b"\x80\x02}",
                    b"\xff" * 8,
                    b"cos\nsystem\n(S'echo'\ntR.",
                    struct.pack("<Q", len(head)) + head,
                    struct.pack("<Q", 2**63),
                    b"\x80\x04\x95" + b"\xff" * 8,
                )
            )
        )
    return [
        *("models", "import", str(path), "--model", rng.choice(("imp", value(rng)))),
        *some(rng, ["--architecture", VIT], chance=0.8),
        *some(
            rng,
            ["--architecture", rng.choice(("resnet18", "microsnoop", "subcell", value(rng)))],
            ["--crop-size", rng.choice(NUMBERS)],
            ["--input-channels", rng.choice(("DNA,Actin", "a,b,c", value(rng)))],
            ["--normalization", "imagenet"],
            ["--licence", value(rng)],
            chance=0.15,
        ),
    ]


def training(rng: random.Random, folder: Path) -> list[str]:
    from unidino.training.recipe import TrainConfig

    config = dict(_SMALL)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        name = rng.choice([*TrainConfig.model_fields, *config])
        config[name] = json_value(rng)
    if rng.random() < 0.3:
        name = rng.choice(list(_SMALL))
        config[name] = rng.choice((10**6, 10**9, 10**30, 0, -1, 1.5, "7", 999_983))
    path = folder / "c.json"
    path.write_text(json.dumps(config), encoding="utf-8", errors="surrogatepass")
    if rng.random() < 0.25:
        mutate_json_file(rng, path)
    name = f"t{rng.randrange(10**6)}" if rng.random() < 0.9 else value(rng)
    options = some(
        rng,
        ["--epochs", rng.choice(NUMBERS)],
        ["--batch-size", rng.choice(NUMBERS)],
        ["--crop-size", rng.choice(NUMBERS)],
        ["--seed", rng.choice(NUMBERS)],
        ["--architecture", rng.choice(("resnet18", value(rng)))],
        ["--samples", rng.choice(("select 1", "from well", "(", value(rng)))],
        ["--probe", rng.choice(("select 1", "from well", value(rng)))],
        ["--start", rng.choice(("gaussian", "vit", value(rng)))],
        ["--device", rng.choice(("cuda", "cuda:99", "tpu", value(rng)))],
        ["--precision", "bf16"],
        ["--resume"],
        chance=0.07,
    )
    if rng.random() < 0.1:
        path = folder
    return ["train", "--model", name, "--recipe", "small", "--config", str(path), *options]
