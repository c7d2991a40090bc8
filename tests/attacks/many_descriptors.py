# says: held 2[0-9][0-9]
import posix
held = 0
try:
    while held < 100000:
        posix.dup(0)
        held += 1
except OSError:
    pass
print("held", held)
