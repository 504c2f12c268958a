"""The PyCUDA names that `makeup_kernels.cuda` uses, implemented on the CUDA driver API.

For `gpu_run.py` on machines with a GPU but without PyCUDA: only then is the parent folder on the
path. Apps use PyCUDA itself.
"""
