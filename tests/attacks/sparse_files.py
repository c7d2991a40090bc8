# says: too large
import posix
file = posix.open("/tmp/sparse", posix.O_RDWR | posix.O_CREAT)
try:
    posix.ftruncate(file, 1 << 40)
except OSError:
    print("too large")
