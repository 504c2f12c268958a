"""The learners of all systems."""

from collections.abc import Mapping

from makeup_training.systems.learner import Learner, SystemLearner
from makeup_training.systems.portrait_edit import PortraitLearner
from makeup_training.systems.psgan import PoseLearner, PSGANLearner
from makeup_training.systems.psgan_sr import SuperResolutionLearner
from makeup_training.systems.region_gan import RegionGANLearner
from makeup_training.systems.ssat import SSATLearner

__all__ = ["LEARNERS", "Learner"]

LEARNERS: Mapping[str, type[SystemLearner]] = {
    learner.name: learner
    for learner in (
        PSGANLearner,
        SuperResolutionLearner,
        PoseLearner,
        RegionGANLearner,
        SSATLearner,
        PortraitLearner,
    )
}
"""Makers of learners, which take the network's width, by name of the system."""
