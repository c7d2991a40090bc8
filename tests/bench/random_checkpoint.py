"""A checkpoint of random weights, in shards with an index, to time loading with: random_checkpoint.py CONFIG FOLDER [SHARDS].
CONFIG is a config.json of a qwen2, qwen3 or llama model. Needs nothing but Python."""
import json
import os
import struct
import sys
from concurrent.futures import ProcessPoolExecutor

BLOCK = 1 << 24


def shapes(c):
    hidden, inner, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    dim = c.get("head_dim") or hidden // heads
    yield "model.embed_tokens.weight", (vocab, hidden)
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", (hidden,)
        for name, rows in (("q", heads * dim), ("k", kv * dim), ("v", kv * dim)):
            yield layer + f"self_attn.{name}_proj.weight", (rows, hidden)
            if c["model_type"] == "qwen2":
                yield layer + f"self_attn.{name}_proj.bias", (rows,)
        yield layer + "self_attn.o_proj.weight", (hidden, heads * dim)
        if c["model_type"] == "qwen3":
            yield layer + "self_attn.q_norm.weight", (dim,)
            yield layer + "self_attn.k_norm.weight", (dim,)
        yield layer + "post_attention_layernorm.weight", (hidden,)
        yield layer + "mlp.gate_proj.weight", (inner, hidden)
        yield layer + "mlp.up_proj.weight", (inner, hidden)
        yield layer + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    if not c.get("tie_word_embeddings"):
        yield "lm_head.weight", (vocab, hidden)


def size(shape):
    n = 2
    for side in shape:
        n *= side
    return n


def random_block():
    """bf16 values of either sign between 2^-7 and 2^-6."""
    block = bytearray(BLOCK)
    block[0::2] = os.urandom(BLOCK // 2).translate(bytes(b & 0x7F for b in range(256)))
    block[1::2] = os.urandom(BLOCK // 2).translate(bytes(0x3C | (b & 0x80) for b in range(256)))
    return block


def write(path, tensors):
    header, offset = {}, 0
    for name, shape in tensors:
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size(shape)]}
        offset += size(shape)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = random_block()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        while offset > 0:
            offset -= file.write(block[: min(offset, BLOCK)])


def main():
    config, folder, shards = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 8
    with open(config, encoding="utf-8") as file:
        tensors = list(shapes(json.load(file)))
    os.makedirs(folder)
    with open(config, "rb") as source, open(f"{folder}/config.json", "wb") as target:
        target.write(source.read())
    total, parts, seen = sum(size(shape) for _, shape in tensors), [[] for _ in range(shards)], 0
    for name, shape in tensors:
        parts[min(seen * shards // total, shards - 1)].append((name, shape))
        seen += size(shape)
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    with ProcessPoolExecutor(shards) as pool:
        list(pool.map(write, [f"{folder}/{name}" for name in names], parts))
    index = {"metadata": {"total_size": total}, "weight_map": {t: name for name, part in zip(names, parts) for t, _ in part}}
    with open(f"{folder}/model.safetensors.index.json", "w", encoding="utf-8") as file:
        json.dump(index, file)
    print(f"{folder}: {total / 1e9:.2f} GB in {shards} files")


main()
