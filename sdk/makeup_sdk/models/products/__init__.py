"""The model `products`: lipstick, shadow, liner, … by colour, finish and shape; no network."""
