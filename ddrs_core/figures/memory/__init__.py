"""The memory: balls that meet, one settlement, and a whole bank."""
