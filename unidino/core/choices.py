"""Choices of options: one Literal each, which help, completion and checks read.

This module imports nothing else, so the command line shows its help quickly.
"""

from typing import Literal

MAX_JOBS = 1024
MAX_SEED = 2**32 - 2  # of random numbers, in every library

# Plates.
NgffVersion = Literal["0.5", "0.4"]
ColourRule = Literal["luminance", "red", "green", "blue", "index"]

# Models and embeddings.
RecipeName = Literal["paper", "published", "small", "medium", "adapt"]
Centring = Literal["mean", "sinkhorn"]
Intensity = Literal["percentile", "dtype"]
Normalization = Literal["none", "imagenet"]
Precision = Literal["fp32", "bf16"]
Engine = Literal["auto", "torch", "compile", "openvino"]
Keep = Literal["mean", "crop"]

# Profiles.
Level = Literal["field", "well", "treatment", "compound", "plate", "batch", "source"]
WellLevel = Literal["well", "field"]
OtherLevel = Literal["treatment", "compound"]
Aggregation = Literal["median", "mean"]
ImportLevel = Literal[WellLevel, OtherLevel]

# Scores.
Reading = Literal["text", "published"]
Label = Literal["compound", "moa", "target", "perturbation", "cell_line", "treatment"]
LabelFilter = Literal["reachable", "decoys", "rows", "none"]
Unmatched = Literal["drop", "wrong"]
Measure = Literal["map", "replicates", "activity", "enrichment"]
ControlsOf = Literal["dataset", "batch", "plate"]
BatchUnit = Literal["plate", "batch", "source"]
Preset = Literal["bbbc021", "jump-target2", "insect"]

# Insight and figures.
Effect = Literal["axis", "distance", "projection", "feature"]
Regressor = Literal["random_forest", "elastic_net"]
ProjectionMethod = Literal["umap", "densmap", "pca"]
FigureKind = Literal[
    "map",
    "similarity",
    "scores",
    "differences",
    "labels",
    "replicates",
    "batches",
    "pairs",
    "mixing",
    "drift",
    "attribution",
    "dose",
    "channels",
    "readouts",
    "plate",
    "quality",
    "training",
]

# Output.
TableFormat = Literal["table", "csv", "json", "jsonl", "parquet", "arrow"]
