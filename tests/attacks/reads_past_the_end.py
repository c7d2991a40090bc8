# says: EOF
import posix, sys
input()
print(posix.read(0, 100) == b"" and "EOF")
