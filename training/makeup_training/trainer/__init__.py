"""One trainer for all recipes: loop, mixed precision, checkpoints, metrics, sheets and curves."""
