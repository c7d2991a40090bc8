"""Compares two safetensors files of the goldens' form, with nothing but the standard library.

  parity.py ids EXPECTED                              the golden's input_ids as a JSON array
  parity.py compare EXPECTED FOUND vanilla|dms LIMIT  relative L2 of the logits at every position, flags and live counts
"""
import array, json, math, struct, sys


def load(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        base = f.tell()
        tensors = {}
        for name, t in header.items():
            if name == "__metadata__":
                continue
            f.seek(base + t["data_offsets"][0])
            a = array.array({"F32": "f", "I32": "i", "U8": "B"}[t["dtype"]])
            a.frombytes(f.read(t["data_offsets"][1] - t["data_offsets"][0]))
            tensors[name] = (t["shape"], a)
    return tensors


if sys.argv[1] == "ids":
    print(json.dumps(list(load(sys.argv[2])["input_ids"][1])))
    sys.exit(0)
expected, found, policy, limit = load(sys.argv[2]), load(sys.argv[3]), sys.argv[4], float(sys.argv[5])
(tokens, vocab), want = expected["logits" if policy == "vanilla" else "dms_logits"]
shape, have = found["logits"]
assert shape == [tokens, vocab], (shape, tokens, vocab)
worst = 0
for t in range(tokens):
    a, b = want[t * vocab:(t + 1) * vocab], have[t * vocab:(t + 1) * vocab]
    worst = max(worst, math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b)) / sum(x * x for x in a)))
same = policy == "vanilla" or all(expected[n] == found[n] for n in ("dms_flags", "dms_live"))
print(f"relative L2 {worst:.1e}" + ("" if policy == "vanilla" else ", flags and live " + ("equal" if same else "differ")))
sys.exit(not (worst <= limit and same))
