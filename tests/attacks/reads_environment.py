# says: environment \{\} \[\]
import posix, ctypes
names = []
environment = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
i = 0
while environment and environment[i]:
    names.append(environment[i])
    i += 1
import os
print("environment", {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}, [n for n in names if b"OMP" not in n])
