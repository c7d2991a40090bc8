# says: same root
import posix
root = posix.stat("/")
posix.chdir("/tmp")
for _ in range(100):
    posix.chdir("..")
here = posix.stat(".")
print("same root" if (root.st_ino, root.st_dev) == (here.st_ino, here.st_dev) else "out")
