"""`classic`: makeup without a network, by region histograms and a position-only morph."""
