"""Makeup networks, one file a system; `blocks`, `attention`, `crops` and `warp` are shared."""
