# says: full 28
import posix
written = 0
try:
    for i in range(100):
        fd = posix.open(f"/tmp/{i}", posix.O_CREAT | posix.O_WRONLY)
        for _ in range(64):
            written += posix.write(fd, bytes(1 << 20))
except OSError as error:
    print("full", error.errno if written < 80 << 20 else written)
