"""Statistics of the features of a LeRobotDataset, by which its policies normalise: of one episode, and of all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Stats = dict[str, np.ndarray]
QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
LOOKED_AT = 128
"""Pixels along an edge that statistics of images are made of, about."""


def feature_stats(values: np.ndarray) -> Stats:
    """min, max, mean, std, q01 to q99, each (width,) of the columns of `values` (n, width) or (n,), and count (1,)."""
    columns = values.reshape(len(values), -1).astype(np.float64)
    return {**_of_columns(columns), "count": np.array([len(values)])}


def image_stats(images: np.ndarray) -> Stats:
    """The same of uint8 images (n, height, width, 3): each (3, 1, 1) of the channels, from 0 to 1."""
    stride = max(1, max(images.shape[1:3]) // LOOKED_AT)
    channels = images[:, ::stride, ::stride].reshape(-1, 3) / 255.0
    found = {name: value.reshape(3, 1, 1) for name, value in _of_columns(channels).items()}
    return {**found, "count": np.array([len(images)])}


def pooled(parts: Sequence[Stats]) -> Stats:
    """The statistics of all from those of each episode; quantiles are means of the episodes', weighted by count."""
    counts = np.array([part["count"][0] for part in parts], np.float64)
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0] if name != "count"}

    def mean(values: np.ndarray) -> np.ndarray:
        return np.tensordot(counts / counts.sum(), values, axes=1)

    found = {name: mean(values) for name, values in stacked.items()}
    spread = mean(stacked["std"] ** 2 + (stacked["mean"] - found["mean"]) ** 2)
    extremes = {"min": stacked["min"].min(axis=0), "max": stacked["max"].max(axis=0)}
    return {**found, **extremes, "std": np.sqrt(spread), "count": np.array([int(counts.sum())])}


def _of_columns(columns: np.ndarray) -> Stats:
    quantiles = np.quantile(columns, QUANTILES, axis=0)
    return {
        "min": columns.min(axis=0),
        "max": columns.max(axis=0),
        "mean": columns.mean(axis=0),
        "std": columns.std(axis=0),
        **{f"q{round(100 * share):02d}": row for share, row in zip(QUANTILES, quantiles, strict=True)},
    }
