# says: FileNotFoundError
import io
print(io.open("/tmp/hyperscale-secret").read())
