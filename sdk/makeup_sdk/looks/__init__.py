"""Looks: the makeup of a reference, or of products."""
