"""The learner side of Tessera: episodes, the in-context transformer, its baselines and the measurement."""
