"""The few names of PyCUDA that `makeup_kernels.cuda` uses, on the CUDA driver's C interface.

For `gpu_run.py` on machines that have a GPU and no PyCUDA, which has to be built: only there is the
folder above this one on the path. Apps use PyCUDA itself.
"""
