"""The frame path on a GPU: a frame is uploaded once, unless it is there already, and stays there.

Used by `MakeupEngine(device="cuda")`. It runs the Triton kernels of `makeup_kernels` on torch
tensors, and graphs through sessions that accept GPU arrays (torch, tensorrt). For each face, the
landmarks, a score, the crop (192 KB) and the region map (64 KB) are downloaded for decisions on the
host; the painted map and a mask are uploaded.

State: the tests compare it with the CPU path, using the kernels' CPU implementations instead of
Triton; it ran once, on one face, in Triton's interpreter. It has not run on a GPU.
"""
