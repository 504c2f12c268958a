"""How each model is split into graphs."""
