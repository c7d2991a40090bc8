# says: limit
import posix
while True:
    posix.write(3, b"\xff" * 65536)
