# says: link 18
import posix
try:
    posix.link("/usr/lib/python3.11/os.py", "/tmp/os.py")
except OSError as error:
    print("link", 18 if error.errno in (1, 13, 18) else error.errno)
