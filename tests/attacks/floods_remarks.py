# says: xxxx$
# A frame that says what was raised is stored with the verdict: it must not be as long as the program likes.
import os, struct
os.write(3, struct.pack("=I", 900001) + b"e")
for _ in range(9):
    os.write(3, b"x" * 100000)
os._exit(1)
