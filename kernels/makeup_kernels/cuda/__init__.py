"""What the CUDA kernels run on: PyCUDA and code that nvcc compiled, without torch.

The kernels lie in the operations' folders (`cuda.cu`, and `cuda.py` that launches them); here is
what they share: whether they can run, their code, arrays and launching. Nothing is imported from
PyCUDA before it is needed, so that the package works without it.
"""

from makeup_kernels.cuda.arrays import to_device, to_host
from makeup_kernels.cuda.code import OPERATIONS, offer_code
from makeup_kernels.cuda.driver import available

__all__ = ["OPERATIONS", "available", "offer_code", "to_device", "to_host"]
