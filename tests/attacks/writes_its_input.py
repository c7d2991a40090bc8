# official: read-only
# real: read-only
import posix
try:
    posix.lseek(0, 0, 0)
    posix.write(0, b"another question")
    posix.ftruncate(0, 0)
except OSError:
    print("read-only")
else:
    print("written")
