"""The data of a look, one module per kind of makeup."""
