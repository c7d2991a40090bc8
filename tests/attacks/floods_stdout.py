# official: time limit
# real: limit
import posix
while True:
    posix.write(1, b"x" * 65536)
