"""Forward passes under noise: devices, memory, batches, precision."""
