"""Runs the programs of a model inside the sandbox.

The launcher executes this file: it loads what programs usually import and calls sandbox_serve(), which returns once in
every process that is to run a program, already confined, and never in the launcher. From then on all there is are the
program's frames on descriptor 3. Expected outputs are not among them: what a program prints or returns is handed out
and compared elsewhere, so nothing that hostile code does to this interpreter can make it right.

    first frame in     kind, NUL, name of the function, NUL, the program; kinds:
      official-stdin   as LiveCodeBench's runner: made a function, called for each test with a stand-in for stdin
      function         as LiveCodeBench's runner: a method or function, called for each test with JSON arguments
      plain            a __main__ with the process's real stdin and stdout, once
    frames out         a letter and bytes: "r" ready, "o" output, "v" value (encode()), "e" exception
"""
import sys

import ast, atexit, bisect, builtins, collections, copy, ctypes, datetime, decimal, fractions, functools, heapq
import io, itertools, json, math, operator, os, random, re, shutil, statistics, string, struct, subprocess, threading
import typing

CHANNEL = 3
MAX_DEPTH = 500
MAX_DIGITS = 50000  # of an integer as text: sys.set_int_max_str_digits() of LiveCodeBench

MODULES = ("string re datetime collections heapq bisect copy math random statistics itertools functools operator io "
           "sys json").split()
PRELUDE = (
    "".join(f"from {name} import *\n" for name in [*MODULES, "builtins", "typing"])
    + "".join(f"import {name}\n" for name in MODULES)
    + "sys.setrecursionlimit(50000)\n"
)


# ---- The channel. A program can find it and send what it likes: it is judged by that, then

def receive():
    def exactly(count):
        parts = []
        while count:
            part = os.read(CHANNEL, min(count, 1 << 20))
            if not part:
                os._exit(0)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    return exactly(struct.unpack("=I", exactly(4))[0])


def send(kind, payload=b""):
    data = memoryview(struct.pack("=I", len(payload) + 1) + kind + payload)
    while data:
        data = data[os.write(CHANNEL, data):]


def describe(error):
    try:
        return f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace")
    except BaseException:
        return b"an exception that cannot be printed"


# ---- What a functional problem returns: plain data as tagged bytes, see grading/value.c

def encode(value):
    out = []

    def sized(tag, data):
        out.append(tag + struct.pack("=Q", len(data)) + data)

    def number(value):
        """Python compares numbers by value, so an exact fraction may be sent as the integer or float that it equals."""
        if value == int(value):
            return put(int(value), 0)
        return put(float(value), 0) if value == float(value) else out.append(b"?")

    def put(value, depth):
        if depth > MAX_DEPTH:
            out.append(b"?")
        elif value is None:
            out.append(b"n")
        elif isinstance(value, bool):
            out.append(b"t" if value else b"f")
        elif isinstance(value, int):
            value = int.__index__(value)
            sized(b"i", str(value).encode()) if value.bit_length() < MAX_DIGITS * 3 else out.append(b"?")
        elif isinstance(value, float):
            out.append(b"d" + struct.pack("=d", float.__float__(value)))
        elif isinstance(value, str):
            sized(b"s", str.__str__(value).encode("utf-8", "surrogatepass"))
        elif isinstance(value, (list, tuple)):
            base = list if isinstance(value, list) else tuple
            out.append((b"l" if base is list else b"u") + struct.pack("=Q", base.__len__(value)))
            for item in base.__iter__(value):
                put(item, depth + 1)
        elif isinstance(value, dict):
            out.append(b"m" + struct.pack("=Q", dict.__len__(value)))
            for key, item in dict.items(value):
                put(key, depth + 1)
                put(item, depth + 1)
        elif isinstance(value, (decimal.Decimal, fractions.Fraction)):
            try:
                number(value)
            except (ValueError, OverflowError):
                out.append(b"?")
        elif "numpy" in sys.modules and isinstance(value, sys.modules["numpy"].generic):
            put(value.item(), depth + 1)
        else:
            out.append(b"?")

    put(list(value) if isinstance(value, tuple) else value, 0)
    return b"".join(out)


# ---- LiveCodeBench's runner

def guard_like_official():
    """The functions that its reliability_guard() takes away: a program that calls one fails there, so it does here."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate "
                 "replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir").split():
        setattr(os, name, None)
    for name in "rmtree move chown".split():
        setattr(shutil, name, None)
    subprocess.Popen = None
    builtins.quit = builtins.help = None
    for name in "ipdb joblib resource psutil tkinter".split():
        sys.modules[name] = None
    sys.set_int_max_str_digits(MAX_DIGITS)
    # Its programs run in a multiprocessing child, whose first stdin is closed and another one opened on /dev/null.
    sys.stdin.close()
    sys.stdin = open(os.open(os.devnull, os.O_RDONLY), closefd=False)


def preload(name):
    """Its module is loaded before the guard there, and does not load after it."""
    try:
        __import__(name)
    except ImportError:
        pass


def without_main_guard(source):
    """Inlines the body of `if __name__ == '__main__':` when that is the last statement."""
    try:
        body = ast.parse(source).body
        if isinstance(body[-1], ast.If) and ast.unparse(body[-1].test).strip() == "__name__ == '__main__'":
            return ast.unparse(body[:-1]) + "\n" + ast.unparse(body[-1].body)
    except BaseException:
        pass
    return source


def as_function(source):
    """Imports first, everything else inside wrapped_function(), so that module-level names become local variables."""
    try:
        imports, others = [], []
        for statement in ast.parse(source).body:
            (imports if isinstance(statement, (ast.Import, ast.ImportFrom)) else others).append(statement)
        arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        function = ast.FunctionDef(name="wrapped_function", args=arguments, body=others, decorator_list=[], lineno=-1)
        return PRELUDE + "\n" + ast.unparse(imports) + "\n" + ast.unparse(function)
    except Exception:
        return source


class StandInBuffer:
    """read() and readline() start over at each call, and there is nothing else."""

    def __init__(self, text):
        self.data = text.encode("utf-8")

    def read(self, *_):
        return self.data

    def readline(self, *_):
        return self.data.partition(b"\n")[0] + b"\n"


class StandInStdin:
    """readline() moves on, read() and readlines() always return everything, iteration is missing."""

    def __init__(self, text):
        self.text, self.lines, self.buffer = text, io.StringIO(text), StandInBuffer(text)

    def __getattr__(self, name):  # readline() among others
        return getattr(self.lines, name)

    def read(self, *_):
        return self.text

    def readlines(self, *_):
        return self.text.split("\n")


def call_with_stdin(function, text):
    """Calls it with sys.stdin replaced and returns what was printed. The true sys.stdin, which `from sys import stdin`
    has bound before, gets other stand-ins: its readline() drops the newline and raises StopIteration at the end."""
    lines = iter(text.split("\n"))
    true_stdin, true_open = sys.stdin, builtins.open
    captured = io.StringIO()
    captured.close = lambda unused: 1
    true_stdout, sys.stdout = sys.stdout, captured
    try:
        true_stdin.read = lambda *_: text
        true_stdin.readlines = lambda *_: text.split("\n")
        true_stdin.readline = lambda *_: next(lines)
        sys.stdin = StandInStdin(text)
        builtins.open = lambda *_, **__: io.StringIO(text)
        try:
            function()
        except SystemExit:
            pass
    finally:
        builtins.open, sys.stdin = true_open, true_stdin
        del true_stdin.read, true_stdin.readlines, true_stdin.readline
        sys.stdout = true_stdout
    return captured.getvalue()


def load(source):
    module = type(sys)("tmp_sol", "")
    exec(source, module.__dict__)
    return module


def run_official_stdin(source):
    function = load(as_function(without_main_guard(source))).wrapped_function
    send(b"r")
    while True:
        text = receive().decode("utf-8", "surrogatepass")
        send(b"o", call_with_stdin(function, text).encode("utf-8", "surrogatepass"))


def run_function(source, name):
    module = load(PRELUDE + "\n\n" + source)
    function = getattr(module.Solution() if "class Solution" in source else module, name)
    send(b"r")
    while True:
        arguments = [json.loads(line) for line in receive().decode("utf-8", "surrogatepass").split("\n")]
        send(b"v", encode(function(*arguments)))


# ---- A plain process

def run_plain(source):
    module = type(sys)("__main__")
    module.__file__, module.__builtins__ = "solution.py", builtins
    sys.modules["__main__"] = module
    status = 0
    try:
        exec(compile(source, "solution.py", "exec"), module.__dict__)
    except SystemExit as request:
        code = request.code
        status = 0 if code is None else code & 255 if isinstance(code, int) else 1
    except BaseException as error:
        send(b"e", describe(error))
        status = 1
    # What the interpreter does at its end, short of tearing down modules.
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BaseException:
        status = status or 120
    os._exit(status)


def run():
    kind, name, source = receive().split(b"\0", 2)
    source = source.decode("utf-8", "surrogateescape")
    sys.argv = ["solution.py"]
    os.environ.clear()
    random.seed(0)  # the same verdict in every run
    if kind == b"plain":
        run_plain(source)
    if "numpy" in source:
        preload("numpy")
    guard_like_official()
    try:
        if kind == b"function":
            run_function(source, name.decode())
        else:
            run_official_stdin(source)
    except BaseException as error:
        send(b"e", describe(error))
    os._exit(0)


# ---- The launcher

def readable_paths():
    """The files that Python itself needs, as pairs of real path and path: its modules, the directories of its
    libraries, and where numpy's are chosen and time zones are found. A .pth file may have put other folders on sys.path: those
    stay outside."""
    prefixes = tuple({prefix + "/" for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)})
    modules = [path for path in sys.path if path.startswith(prefixes)]
    with open("/proc/self/maps") as maps:
        libraries = re.findall(r" (/.+)/[^/\n]+\.so", maps.read())
    extra = ["/etc/alternatives", "/etc/ld.so.cache", "/usr/share/zoneinfo"]
    kept = []
    for path in sorted(filter(os.path.exists, {*modules, *libraries, *extra})):
        if not any(path == other or path.startswith(other + "/") for other in kept):
            kept.append(path)
    return "".join(f"{os.path.realpath(path)}\0{path}\0" for path in kept).encode() + b"\0"


if __name__ == "__main__":
    del sys.path[0]  # where this script lies: nowhere
    # PyDLL keeps the interpreter's lock, so that the state is the same on both sides of a fork.
    ctypes.PyDLL("/proc/self/fd/4").sandbox_serve(readable_paths())
    run()
