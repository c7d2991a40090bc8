# says: MemoryError
bytearray(8 << 30)
