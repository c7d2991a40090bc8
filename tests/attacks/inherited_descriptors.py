# official: descriptors \[0, 1, 2, 3, 4\]
# real: descriptors \[0, 1, 2, 3\]
import posix
held = []
for fd in range(1024):
    try:
        posix.fstat(fd)
        held.append(fd)
    except OSError:
        pass
print("descriptors", held)
