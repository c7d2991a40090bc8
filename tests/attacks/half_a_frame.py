# official: time limit
# real: line 1 is ""
import posix, struct, sys, time
posix.write(3, struct.pack("=I", 0xFFFFFFFF) + b"o" + b"1" * 1000)
if "wrapped_function" in sys._getframe().f_code.co_name:
    time.sleep(1000)
