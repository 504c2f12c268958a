"""Shared code of the CUDA kernels: availability, compiled code, arrays and launching; no torch.

The kernels are in the operations' folders (`cuda.cu`, launched by `cuda.py`). PyCUDA is imported
only when needed, so the package works without it.
"""

from makeup_kernels.cuda.arrays import to_device, to_host
from makeup_kernels.cuda.code import OPERATIONS, offer_code
from makeup_kernels.cuda.driver import available

__all__ = ["OPERATIONS", "available", "offer_code", "to_device", "to_host"]
