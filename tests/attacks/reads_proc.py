# says: no /proc
import io
for path in ("1/environ", "self/mem", "self/root/etc/passwd", "1/root/etc/passwd", "self/fd/3"):
    try:
        print(io.open("/proc/" + path, "rb").read(10))
    except OSError as error:
        pass
    else:
        break
else:
    print("no /proc")
