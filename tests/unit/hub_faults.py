"""A hub that misbehaves: what nginx cannot be told to do. usage: hub_faults.py PORT LOG

Each repository faults/NAME has config.json and model.safetensors of SIZE bytes; NAME says what goes wrong when the
weights are asked for. Each request is logged as one line: method, path, Range, and whether a token came along."""
import hashlib, json, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIZE = 3 << 20
COMMIT = "c" * 40
WEIGHTS = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(SIZE // 32))
WRONG = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
CONFIG = b"{}"
seen = {}
lock = threading.Lock()


def tree(name):
    blob = hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG).hexdigest()
    files = [{"type": "directory", "path": "onnx", "oid": "0" * 40, "size": 0},
             {"type": "file", "path": "config.json", "oid": blob, "size": len(CONFIG)},
             {"type": "file", "path": "model.safetensors", "oid": "1" * 40, "size": 134,
              "lfs": {"oid": hashlib.sha256(WEIGHTS).hexdigest(), "size": SIZE, "pointerSize": 134}}]
    if name.startswith("hostile"):
        hostile = {"hostile-up": "../../../evil.json", "hostile-root": "/etc/evil.json", "hostile-slash": "a\\b.json",
                   "hostile-nul": "a\0b.json", "hostile-long": "x" * 300 + ".json", "hostile-dot": "a/./b.json"}[name]
        files.append({"type": "file", "path": hostile, "oid": blob, "size": len(CONFIG)})
    return files


class Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def range_begin(self):
        value = self.headers.get("Range")
        return int(value[len("bytes="):-1]) if value else 0

    def weights(self, content=WEIGHTS):
        """What a good server sends."""
        begin = self.range_begin()
        if begin == 0:
            return self.answer(200, content)
        self.answer(206, content[begin:], [("Content-Range", "bytes %d-%d/%d" % (begin, SIZE - 1, SIZE))])

    def half(self):
        """Half of the body, and the connection is cut."""
        self.answer(200, WEIGHTS[:SIZE // 2], length=SIZE)
        self.close_connection = True

    def list_files(self, name):
        """A listing of several pages has the address of the next one in a header."""
        files, page = tree(name), int(self.path.partition("page=")[2] or 0)
        url = {"paged": "http://%s%s&page=%d" % (self.headers["Host"], self.path.split("&page=")[0], page + 1),
               "next-to-plain": "http://192.0.2.1/page"}
        url["endless"] = url["paged"]
        more = name in url and (name != "paged" or page + 1 < len(files))
        if name == "paged":
            files = files[page:page + 1]
        elif name == "endless":
            files = files[:1]
        links = [("Link", '<%s>; rel="first", <%s>; rel="next"' % (self.path, url[name]))] if more else []
        self.answer(200, json.dumps(files).encode(), links)

    def on_paged(self, attempt):
        self.weights()

    def do_GET(self):
        name = self.path.split("?")[0].split("/")
        name = name[name.index("faults") + 1]
        with lock:
            attempt = seen[self.path] = seen.get(self.path, 0) + 1
            with open(sys.argv[2], "a") as log:
                print("GET", self.path, self.headers.get("Range", "-"), bool(self.headers.get("Authorization")), file=log)
        if "/revision/" in self.path:
            if name == "nothing":
                return self.answer(404, b"{}", [("X-Error-Message", "Repository not found")])
            if name == "html":
                return self.answer(200, b"<html>captive portal</html>")
            return self.answer(200, json.dumps({"sha": COMMIT}).encode())
        if "/tree/" in self.path:
            return self.list_files(name)
        if self.path.endswith("config.json"):
            return self.answer(200, CONFIG)
        getattr(self, "on_" + name.replace("-", "_"))(attempt)

    def on_good(self, attempt):
        self.weights()

    def on_truncated(self, attempt):
        self.half() if attempt == 1 else self.weights()

    def on_range_ignored(self, attempt):
        self.half() if attempt == 1 else self.answer(200, WEIGHTS)

    def on_other_range(self, attempt):
        if attempt == 1:
            return self.half()
        if attempt == 2:
            return self.answer(206, WEIGHTS[:1000], [("Content-Range", "bytes 0-999/%d" % SIZE)])
        self.weights()

    def on_no_range(self, attempt):
        self.half() if attempt == 1 else self.answer(416) if attempt == 2 else self.weights()

    def on_changed_once(self, attempt):
        self.weights(WRONG if attempt == 1 else WEIGHTS)

    def on_changed(self, attempt):
        self.weights(WRONG)

    def on_stall(self, attempt):
        if attempt > 1:
            return self.weights()
        self.answer(200, WEIGHTS[:SIZE // 2], length=SIZE)
        self.wfile.flush()
        time.sleep(4)
        self.close_connection = True

    def on_busy(self, attempt):
        self.answer(429, b"slow down", [("Retry-After", "1")]) if attempt == 1 else self.weights()

    def on_busy_for_long(self, attempt):
        self.answer(429, b"slow down", [("Retry-After", "3600")])

    def on_storm(self, attempt):
        self.answer(500, b"x" * 200000)

    def on_loop(self, attempt):
        self.answer(302, headers=[("Location", self.path)])

    def on_to_file(self, attempt):
        self.answer(302, headers=[("Location", "file:///etc/passwd")])

    def on_to_plain(self, attempt):
        self.answer(302, headers=[("Location", "http://192.0.2.1/model.safetensors")])

    def on_too_much(self, attempt):
        self.answer(200, WEIGHTS + b"more")

    def on_too_much_unsaid(self, attempt):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(WEIGHTS + b"more" * 100000)
        self.close_connection = True

    def on_gated(self, attempt):
        self.answer(403, b"{}", [("X-Error-Code", "GatedRepo"), ("X-Error-Message", "Access to model is restricted")])


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hub).serve_forever()
