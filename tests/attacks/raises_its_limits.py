# says: ValueError
import sys
sys.modules.pop("resource", None)
resource = __import__("resource")
resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
bytearray(8 << 30)
