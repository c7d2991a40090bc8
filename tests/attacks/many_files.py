# says: full 28
import posix
try:
    for i in range(10 ** 6):
        posix.close(posix.open(f"/tmp/{i}", posix.O_CREAT | posix.O_WRONLY))
except OSError as error:
    print("full", error.errno)
