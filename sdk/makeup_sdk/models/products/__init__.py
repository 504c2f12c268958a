"""The model `products`: lipsticks, shadows, liners, … by colour, finish and shape; no network."""
