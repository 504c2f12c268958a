"""Real-time makeup try-on."""
