# says: gaierror
import _socket
print(_socket.getaddrinfo("example.com", 80))
