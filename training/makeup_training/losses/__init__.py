"""Losses: primitives by kind, and one training objective a system with its published weights."""
