# official: MemoryError|time limit
# real: limit
while True:
    print("x" * 65536)
