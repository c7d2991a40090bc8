# says: MemoryError|time limit
bytearray(8 << 30)
