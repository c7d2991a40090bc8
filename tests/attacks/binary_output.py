# says: line 1 is "a
import posix, sys
if hasattr(sys.stdout, "buffer"):
    sys.stdout.buffer.write(b"a\0\xff\xfe\x80")
else:
    print("a\0\udcff")
