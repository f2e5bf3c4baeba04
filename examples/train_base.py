"""Train the model that comes with unidino, on simulated planes and on real images.

    python examples/train_base.py WORK --cpjump1 FOLDER

WORK keeps the planes, the lake and the checkpoint: run again, it continues where it stopped. FOLDER
has images of CPJUMP1 (CC0), of which five wells are a fifth of the samples; without it, all planes
are simulated.
"""

import argparse
from pathlib import Path
from typing import Any

import unidino as ud
from unidino.core.progress import progress_bar
from unidino.plates.manifest import Choice
from unidino.simulation.stream import simulate_stream

NUM_PLANES = 16_384
CHANGES = {
    "architecture_options": {"embed_dim": 192, "depth": 6, "num_heads": 3},
    "epochs": 13,
    "steps_per_epoch": 100,
    "batch_size": 128,
    "learning_rate": 1.5e-3,
    "learning_rate_warmup": 2,
    "teacher_momentum": (0.994, 1.0),
    "num_outputs": 1024,
}
STAINS = ("Mito", "AGP", "RNA", "ER", "DNA")
SAMPLES = """
select * replace (
    case dataset when 'stream' then 'stream' || hash(well) % 4 else 'real' end as dataset
)
from training_sample
where dataset = 'stream'
    or dataset = 'cpjump1' and well in ('A21', 'E18', 'F10', 'M02', 'N14')
"""


def fill(lake: ud.Lake, work: Path, num_planes: int, cpjump1: Path | None) -> None:
    """Simulate planes, and bring them and the real images into the lake."""
    planes = work / "stream"
    with progress_bar("simulate", num_planes, "planes") as advance:
        seen = 0

        def progress(done: int, _: int) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        simulate_stream(planes, num_planes, progress=progress)
    ud.ingest(lake, planes / "manifest.csv", dataset="stream")
    if cpjump1:
        ud.ingest(lake, cpjump1, "harmony", dataset="cpjump1", choice=Choice(channel_names=STAINS))


def train_base(lake: ud.Lake, changes: dict[str, Any]) -> None:
    """Train `base`, or continue; a model that is finished stays."""
    if "base" in lake.query("select model from model")["model"]:
        return
    checkpoint = lake.path / "models" / "base" / "checkpoint.safetensors"
    if checkpoint.exists():
        ud.train(lake, "base", resume=True)
    else:
        ud.train(lake, "base", recipe="small", config=changes, samples=SAMPLES)


def main() -> None:
    """Parse the command line, fill the lake, train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--cpjump1", type=Path)
    parser.add_argument("--planes", type=int, default=NUM_PLANES)
    options = parser.parse_args()
    folder = options.work / "lake"
    lake = ud.Lake.open(folder) if folder.exists() else ud.Lake.create(folder)
    fill(lake, options.work, options.planes, options.cpjump1)
    train_base(lake, CHANGES)


if __name__ == "__main__":
    main()
