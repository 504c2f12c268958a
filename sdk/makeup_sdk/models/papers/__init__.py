"""The published models: bundles of exported networks, worn by `MakeupEngine`."""
