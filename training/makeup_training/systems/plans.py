"""Training settings of each system's mobile-class weights; does not import PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Training settings of one system.

    Attributes:
        steps: number of steps.
        rate: highest learning rate.
        sources, references: source and reference faces in a batch; all pairs of them are used.
        width: channels of the network's first stage.
        size: side of its crops.
    """

    steps: int
    rate: float = 2.5e-3
    sources: int = 2
    references: int = 3
    width: int = 16
    size: int = 96


PLANS: Mapping[str, Plan] = {
    "psgan": Plan(4000, 6e-4),
    "psgan-pose": Plan(1500, 4e-4),
    "psgan-sr": Plan(3000, 1.2e-3, sources=3, references=2, size=128),
    "region-gan": Plan(4000, references=4),
    "portrait-edit": Plan(1500, 1.5e-3, references=4, size=128),
    "ssat": Plan(1600, 4e-4, sources=1, size=64),
}
"""The recipes `SYSTEM-mobile` of `makeup-train`."""
