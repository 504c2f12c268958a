"""The mobile-class weights of the six published systems: their data, objective and training."""
