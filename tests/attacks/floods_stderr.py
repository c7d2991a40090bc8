# says: time limit
import posix
while True:
    posix.write(2, b"x" * 65536)
