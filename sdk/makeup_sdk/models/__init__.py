"""Models: they read the makeup of a reference and put it on faces."""
