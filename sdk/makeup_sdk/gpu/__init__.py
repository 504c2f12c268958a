"""The frame path on a GPU: frames go up once, or are there already, and stay there.

`MakeupEngine(device="cuda")` takes it. It runs the Triton kernels of `makeup_kernels` on torch
tensors, and graphs through sessions that take arrays on the GPU (torch, tensorrt). Per face the
landmarks, a score, the crop (192 KB) and the region map (64 KB) come down, for what the host
decides; the map that is painted and a mask go up.

State: held against the CPU path in the tests, with the kernels' CPU forms in place of the Triton
ones; run once, on one face, in Triton's interpreter. It has not run on a GPU.
"""
