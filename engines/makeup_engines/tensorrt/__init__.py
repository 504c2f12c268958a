"""TensorRT 10.3 and later, and 11: targets, offline builds, plans and sessions."""
