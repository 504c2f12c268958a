"""The published models: bundles of exported networks for `MakeupEngine`."""
