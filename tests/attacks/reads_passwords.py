# says: FileNotFoundError
import io
print(io.open("/etc/passwd").read())
