# says: folders [1-4][0-9][0-9][0-9]
import posix
depth = 0
try:
    while depth < 100000:
        posix.mkdir("d")
        posix.chdir("d")
        depth += 1
except OSError:
    pass
print("folders", depth)
