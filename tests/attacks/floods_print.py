# official: MemoryError
# real: limit
while True:
    print("x" * 65536)
