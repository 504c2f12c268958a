"""PyTorch networks, losses, data and recipes; never imported at run time."""
