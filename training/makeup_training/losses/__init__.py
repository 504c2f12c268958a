"""Losses: primitives by kind, and one objective per system with its published weights."""
