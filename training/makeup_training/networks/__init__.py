"""Makeup networks, one file per system; `blocks`, `attention`, `crops` and `warp` are shared."""
