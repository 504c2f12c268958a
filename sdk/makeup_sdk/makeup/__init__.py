"""What a look holds: data only, one module per kind of makeup."""
