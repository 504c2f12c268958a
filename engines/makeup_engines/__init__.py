"""Runs exported graphs: bundles and sessions."""
