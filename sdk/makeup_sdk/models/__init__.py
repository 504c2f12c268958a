"""Models: how the makeup of a reference is read, and how it is put on faces."""
