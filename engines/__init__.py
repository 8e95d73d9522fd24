"""The stages' engines: interface -> provider -> factory, one folder a stage."""
