# says: read\-only 30 13 13
import posix
errors = []
for path in ("/owned", "/usr/lib/python3.11/owned.py", "/dev/owned"):
    try:
        posix.open(path, posix.O_CREAT | posix.O_WRONLY)
        errors.append(0)
    except OSError as error:
        errors.append(error.errno)
print("read-only", "30 13 13" if 0 not in errors else errors)
